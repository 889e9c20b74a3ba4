// Runs before the first paint, so that a page in the dark does not flash white.
try {
  const theme = localStorage.getItem("flaxmill.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off: the system's choice it is.
}
