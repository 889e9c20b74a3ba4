"""What a system gives to any program: files, the terminal, signals, clocks."""
