// The card's code: panels that stand below each other without script become tabs, moved between with the arrow keys.
import "./share.js";

const KEYS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

function select(tabs, panels, chosen, focus) {
  tabs.forEach((tab, k) => {
    tab.setAttribute("aria-selected", String(k === chosen));
    tab.tabIndex = k === chosen ? 0 : -1;
    panels[k].hidden = k !== chosen;
  });
  if (focus) tabs[chosen].focus();
}

function tabbed(box, number) {
  if (box.querySelector("[role=tablist]")) return;
  const panels = [...box.querySelectorAll(":scope > .panel")];
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-labelledby", "part-code");
  const tabs = panels.map((panel, k) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.textContent = panel.dataset.name;
    tab.id = `tab-${number}-${k}`;
    panel.id = `panel-${number}-${k}`;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    panel.querySelector("h4").hidden = true;
    tab.addEventListener("click", () => select(tabs, panels, k, false));
    list.append(tab);
    return tab;
  });
  list.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    const now = tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
    const next = now + KEYS[event.key];
    const last = tabs.length - 1;
    select(tabs, panels, event.key === "Home" ? 0 : event.key === "End" ? last : (next + tabs.length) % tabs.length, true);
  });
  box.prepend(list);
  select(tabs, panels, 0, false);
}

const all = () => document.querySelectorAll("[data-tabs]").forEach(tabbed);
all();
document.addEventListener("lab:shown", all);
