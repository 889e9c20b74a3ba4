"""Reading ahead: examples read by threads or processes, in their order, before they are used."""
