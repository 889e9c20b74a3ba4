// Tabs that arrow keys walk along, as the ARIA Authoring Practices describe them.

/**
 * Makes a list of tabs work.
 *
 * @param {Element} list Holds buttons with role "tab", each naming its panel by aria-controls.
 * @param {(panel: string) => void} changed Is told which panel is open, when that changes.
 * @returns {(panel: string) => void} Opens a panel.
 */
export function tabs(list, changed) {
  const all = [...list.querySelectorAll("[role=tab]")];
  const panel = (tab) => tab.getAttribute("aria-controls");

  function open(chosen) {
    if (chosen.getAttribute("aria-selected") === "true") return;
    for (const tab of all) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(panel(tab)).hidden = tab !== chosen;
    }
    changed(panel(chosen));
  }

  list.addEventListener("click", ({ target }) => {
    const tab = target.closest("[role=tab]");
    if (tab) open(tab);
  });
  list.addEventListener("keydown", (event) => {
    const now = all.indexOf(document.activeElement);
    const to = {
      ArrowRight: (now + 1) % all.length,
      ArrowLeft: (now - 1 + all.length) % all.length,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (now < 0 || to === undefined) return;
    event.preventDefault();
    all[to].focus();
    open(all[to]);
  });
  return (name) => open(all.find((tab) => panel(tab) === name));
}
