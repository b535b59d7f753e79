// Applies the chosen theme before the first paint, hence a plain script and no module.
// Law: reads one word from localStorage, and takes it only if it is a theme.
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // storage is switched off: the system's theme it is
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
