// A race on the page: four keys, a stream of fragments, and the race before when a new one begins.

import { apply, form, language, post, said, speak, state } from "./lab.js";

const one = (id) => document.getElementById(id);
const race = one("race");
const place = (name) => race.querySelector(`[data-fragment="${name}"]`);
const ENDED = ["finished", "stopped", "left", "made room", "failed"];
const WHILE = { go: ["ready", "paused", "ended"], pause: ["waiting", "running"], step: ["ready", "paused", "running", "ended"], stop: ["waiting", "running", "paused"] };
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const CALM_MS = 1000; // between two pictures for whom movement disturbs

let run = null; // the race's id
let now = "ready";
let asked = ""; // the settings of the race, as text
let starting = false;

/** Show which keys can be pressed and which one is. */
function keys(found) {
  now = ENDED.includes(found) ? "ended" : found;
  for (const key of race.querySelectorAll("[data-order]")) {
    const order = key.dataset.order;
    WHILE[order].includes(now) ? key.removeAttribute("aria-disabled") : key.setAttribute("aria-disabled", "true");
  }
  one("race-go").setAttribute("aria-pressed", String(now === "running" || now === "waiting"));
  one("race-pause").setAttribute("aria-pressed", String(now === "paused"));
  changed();
}

/** Whether the form stands otherwise than the race that is shown. */
function changed() {
  one("race-changed").hidden = !asked || now === "ready" || JSON.stringify(state()) === asked;
}

function complain(found) {
  one("problem").replaceChildren(...(found?.error ? said(found.said) : one("lost").cloneNode(true).childNodes));
}

// Fragments: the newest of each; one that holds the focus waits until the focus has gone.

let waiting = {};
let planned = false;
let shownAt = 0;
let latest = "ready";

function put(fragments, found) {
  Object.assign(waiting, fragments);
  latest = found;
  if (planned) return;
  planned = true;
  const rest = calm.matches ? Math.max(0, CALM_MS - (performance.now() - shownAt)) : 0;
  rest ? setTimeout(flush, rest) : requestAnimationFrame(flush);
}

function flush() {
  planned = false;
  shownAt = performance.now();
  for (const [name, html] of Object.entries(waiting)) {
    const region = place(name);
    if (region.contains(document.activeElement)) continue;
    region.innerHTML = html;
    speak(region);
    delete waiting[name];
  }
  race.dataset.state = latest; // that of the fragments
}
race.addEventListener("focusout", () => Object.keys(waiting).length && setTimeout(flush));

// The race.

// A browser keeps six connections to a server at most, for all its pages: four of them may be streams.
const STREAMS = 4;
const GLANCE_MS = 700;

/** What gives the place of a stream back; null where this browser's other pages have them all. */
async function claim() {
  if (!navigator.locks) return () => {};
  for (let k = 0; k < STREAMS; k++) {
    const free = await new Promise((resolve) => {
      const hold = (lock) => (lock ? new Promise((release) => resolve(release)) : resolve(null));
      navigator.locks.request(`normlab-stream-${k}`, { ifAvailable: true }, hold);
    });
    if (free) return free;
  }
  return null;
}

async function look(id) {
  const free = await claim();
  if (!free) return glance(id);
  const stream = new EventSource(`/api/train/${id}/events`);
  const close = () => {
    stream.close();
    free();
  };
  stream.addEventListener("message", ({ data }) => tell(id, JSON.parse(data)) || close());
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) return; // it tries again by itself
    close();
    lose();
  });
}

async function glance(id) {
  for (let after = 0, going = true; going; await new Promise((rest) => setTimeout(rest, GLANCE_MS))) {
    try {
      const found = await (await fetch(`/api/train/${id}/now?after=${after}`)).json();
      if (found.error) return lose();
      going = tell(id, found);
      after = found.number;
    } catch {
      return lose();
    }
  }
}

function lose() {
  complain();
  keys("left");
}

/** Show what was told of a race; whether there is more to come. */
function tell(id, found) {
  if (id !== run) return false;
  put(found.fragments, found.state);
  keys(found.state);
  if (now !== "ended") return true;
  one("race-save").hidden = found.state !== "finished";
  one("race-save").querySelector("a").href = `/save/train/${run}?lang=${language()}`;
  return false;
}

/** What was shown stays, folded away, and the places are empty for the next race. */
function keep() {
  if (!run) return;
  const before = one("race-before");
  const kept = ["verdict", "status", "numbers", "test-accuracy", "train-loss", "gradient-ratio"].map((name) => {
    const copy = document.createElement("div");
    copy.append(...[...place(name).childNodes].map((node) => node.cloneNode(true)));
    for (const named of copy.querySelectorAll("[id]")) named.removeAttribute("id");
    return copy;
  });
  before.querySelector("div").replaceChildren(...kept);
  before.hidden = false;
  waiting = {};
  for (const name of ["verdict", "reasons", "numbers", "layers", "curves-table", "modes-table", "layers-table"])
    place(name).replaceChildren();
  one("race-save").hidden = true;
}

async function start(paused) {
  if (starting) return;
  starting = true;
  const wanted = state();
  try {
    const found = await post("/api/train/start", { state: wanted, lang: language(), paused });
    if (found.error) return complain(found);
    one("problem").replaceChildren();
    keep();
    run = found.run;
    asked = JSON.stringify(wanted);
    keys(paused ? "paused" : "running");
    look(run);
    if (paused) await post(`/api/train/${run}/step`, {});
  } catch {
    complain();
  } finally {
    starting = false;
  }
}

async function order(name) {
  if (now === "ready" || now === "ended") return start(name === "step");
  if (name === "pause") keys("paused");
  try {
    const found = await post(`/api/train/${run}/${name}`, {});
    if (found.error) complain(found);
  } catch {
    complain();
  }
}

for (const key of race.querySelectorAll("[data-order]")) key.addEventListener("click", () => {
  if (key.getAttribute("aria-disabled") !== "true") order(key.dataset.order);
});
form.addEventListener("input", changed);
document.addEventListener("lab:shown", changed);
keys("ready");
