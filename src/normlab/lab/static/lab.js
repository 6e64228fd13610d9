// A view's page: the form is the state, the state is the address; one question is under way, and the last one wins.

const one = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const root = document.documentElement;

export const form = one("settings");
export const output = one("output");
export const language = () => document.querySelector('input[name="lang"]:checked')?.value ?? root.lang;

root.classList.add("scripted");

// Language and theme: radio buttons, so that the style sheet does the work; a cookie tells the next page.

const remember = (name, value) => { document.cookie = `${name}=${value}; path=/; max-age=31536000; SameSite=Strict`; };

/** What the style sheet cannot turn round: the options of a list, and which title of a drawing is found first. */
export function speak(within = document) {
  const lang = language();
  for (const text of all("option[data-en]", within)) text.textContent = text.dataset[lang];
  for (const svg of all("svg[lang]", within)) {
    svg.setAttribute("lang", lang);
    svg.prepend(...all(`:scope > title[lang=${lang}], :scope > desc[lang=${lang}]`, svg));
  }
}

for (const button of all('input[name="lang"]')) button.addEventListener("change", () => {
  root.lang = language();
  document.title = root.dataset[language()];
  remember("lang", language());
  const address = new URL(location.href);
  if (address.searchParams.has("lang")) {
    address.searchParams.delete("lang");
    history.replaceState(null, "", address);
  }
  speak();
});
for (const button of all('input[name="theme"]')) button.addEventListener("change", () => remember("theme", button.value));

/** A sentence in both languages, as the server writes it. */
export function said(text) {
  return ["en", "ko"].map((lang) => {
    const span = document.createElement("span");
    span.lang = lang;
    span.hidden = lang !== language();
    span.textContent = text[lang];
    return span;
  });
}

// The form.

/** The state that the form shows, as text by name. */
export function state() {
  const found = {};
  for (const control of form.elements)
    if (control.name) found[control.name] = control.type === "checkbox" ? (control.checked ? "1" : "0") : control.value;
  return found;
}

function set(control, value) {
  if (control.type === "checkbox") control.checked = value === "1";
  else if (control.tagName === "SELECT" && ![...control.options].some((option) => option.value === value))
    control.add(new Option(value, value, false, true));
  if (control.type !== "checkbox") control.value = value;
}

const stops = (slider) => slider.dataset.stops?.split(" ");

/** Move every slider to where the number or the list beside it stands. */
function place() {
  for (const slider of all("input.slider", form)) {
    const value = form.elements[slider.dataset.for].value;
    const steps = stops(slider);
    if (Number.isFinite(Number.parseFloat(value))) {
      const gap = (stop) => Math.abs(Math.log(stop / Number(value)));
      slider.value = steps ? steps.reduce((best, stop, k) => (gap(stop) < gap(steps[best]) ? k : best), 0) : value;
    } else if (steps) slider.value = Math.max(steps.indexOf("0.1"), 0); // a name: where Xavier is for 100 units
    slider.setAttribute("aria-valuetext", value);
  }
}

/** Take over the settings of a query string; with `whole`, those that it does not name go back to their defaults. */
export function apply(query, whole = false) {
  const wanted = new URLSearchParams(query);
  for (const control of form.elements)
    if (control.name && (wanted.has(control.name) || whole)) set(control, wanted.get(control.name) ?? control.dataset.default);
  place();
}

/** The part of a state that a run depends on: not which row is open. */
const run = (found) => {
  const rest = { ...found };
  for (const hidden of all('input[type="hidden"]', form)) delete rest[hidden.name];
  return JSON.stringify(rest);
};

// Questions to the server.

let underWay = false;
let next = null;
let settled = form && state();
let ghost = null;

/** Ask what the form's state shows: `quick` while somebody drags. What is asked meanwhile waits, and only the last. */
export async function ask(quick = false, keep = true) {
  next = { quick, keep, state: state() };
  if (underWay) return;
  underWay = true;
  output.setAttribute("aria-busy", "true");
  while (next) {
    const wanted = next;
    next = null;
    try {
      await answer(wanted);
    } catch {
      one("problem").replaceChildren(...one("lost").cloneNode(true).childNodes);
    }
  }
  underWay = false;
  output.removeAttribute("aria-busy");
}

/** Send JSON and get JSON; a refusal comes back as it is, with `error`. */
export async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
}

async function answer(wanted) {
  const changed = run(wanted.state) !== run(settled);
  const before = changed ? settled : ghost;
  const folded = !output.querySelector("details[open]");
  const question = { state: wanted.state, quick: wanted.quick, lang: language(), before, folded };
  const found = await post(form.dataset.api, question);
  one("problem").replaceChildren(...(found.error ? said(found.said) : []));
  if (found.error) { // what was written beside a list is still there to be mended; the list shows what is drawn
    for (const list of all("select", form)) if (!wanted.quick) set(list, settled[list.name]);
    return;
  }
  if (!wanted.quick && changed) ghost = settled;
  if (!wanted.quick) settled = wanted.state;
  show(found, wanted);
  if (found.notes.length && !next) { // the server had to bring settings together: the form shows what it took
    apply(found.address, true);
    if (!wanted.quick) settled = state();
  }
  document.dispatchEvent(new CustomEvent("lab:shown", { detail: { ...wanted, answer: found } }));
}

function show(found, wanted) {
  swap(output, found.html);
  one("notes").replaceChildren(...found.notes.map((note) => {
    const line = document.createElement("p");
    line.className = "note";
    line.append(...said(note));
    return line;
  }));
  const address = form.getAttribute("action") + (found.address ? `?${found.address}` : "");
  for (const [name, text] of [["link", location.origin + address], ["command", found.command], ["python", found.python]])
    one(`take-${name}`)?.replaceChildren(text);
  one("save")?.setAttribute("href", `/save/${form.dataset.api.split("/").pop()}${found.address ? `?${found.address}` : ""}`);
  for (const link of all("a[data-whole]"))
    link.dataset.apply === found.address ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  if (one("save")) one("save").parentElement.hidden = !found.saves;
  if (wanted.quick) return;
  if (found.said) one("said").replaceChildren(...said(found.said));
  if (wanted.keep && address !== location.pathname + location.search) history.pushState(null, "", address);
}

/** Put new HTML in place: what was open stays open, and the focus stays where it was. */
export function swap(region, html) {
  const key = (details) => {
    const owner = details.parentElement.closest("[id]");
    return details.id || `${owner.id} ${all("details", owner).indexOf(details)}`;
  };
  const open = new Set(all("details[open]", region).map(key));
  const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
  region.innerHTML = html;
  for (const details of all("details", region)) if (open.has(key(details))) details.open = true;
  speak(region);
  if (focused) one(focused)?.focus({ preventScroll: true });
}

if (form?.hasAttribute("data-live")) {
  output.addEventListener("toggle", ({ target }) => { // a quick answer left the inside out
    if (target.open && !target.querySelector("td, svg, p, li, code, pre")) ask();
  }, true);
  form.addEventListener("input", ({ target }) => {
    if (target.classList.contains("slider")) {
      set(form.elements[target.dataset.for], stops(target)?.[target.value] ?? target.value);
      target.setAttribute("aria-valuetext", form.elements[target.dataset.for].value);
    } else if (target.name) place();
    if ((target.name || target.classList.contains("slider")) && target.value !== "") ask(true);
  });
  form.addEventListener("change", ({ target }) => {
    if (!target.name && target.type === "text") {
      if (!target.value.trim()) return;
      set(form.elements[target.dataset.for], target.value.trim());
    }
    if (target.value !== "") ask();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  window.addEventListener("popstate", () => {
    apply(location.search, true);
    ask(false, false);
  });
}

// A link within the view changes its settings in place; with a key held down it is a link like any other.

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-apply]");
  if (!link || !form || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button) return;
  event.preventDefault();
  apply(link.dataset.apply, link.hasAttribute("data-whole"));
  ask();
});

// Copying.

for (const button of all("button[data-copy]")) button.addEventListener("click", async () => {
  const source = one(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    one("copied").replaceChildren(...said(one("copied").dataset));
    button.after(one("copied"));
    setTimeout(() => one("copied").replaceChildren(), 2000);
  } catch {
    getSelection().selectAllChildren(source);
  }
});

if (form) place();
speak();
