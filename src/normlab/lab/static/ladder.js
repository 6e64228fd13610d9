// The ladder's own: a row that was opened comes into sight, and the tour goes on when its thing was done.

import { apply, ask } from "./lab.js";

const one = (id) => document.getElementById(id);
const tour = one("tour");
const steps = [...tour.querySelectorAll("li[data-step]")];
let current = 0; // the step that is shown, from 1; 0 where no tour is under way
let done = false;

function show(step) {
  current = step;
  done = false;
  for (const li of steps) li.hidden = Number(li.dataset.step) !== step;
  one("tour-result").replaceChildren();
  one("tour-next").hidden = true;
}

one("tour-start").addEventListener("click", () => {
  tour.hidden = false;
  one("tour-start").hidden = true;
  show(1);
  apply("", true); // from the beginning: none beside bn, five layers
  ask();
  tour.scrollIntoView({ block: "nearest" });
});

one("tour-next").addEventListener("click", () => {
  show(current + 1);
  one("tour-end").focus({ preventScroll: true });
});

one("tour-end").addEventListener("click", () => {
  tour.hidden = true;
  current = 0;
  one("tour-start").hidden = false;
  one("tour-start").focus();
});

document.addEventListener("lab:shown", ({ detail }) => {
  if (detail.quick) return;
  if (detail.state.row !== "0") one("opened")?.scrollIntoView({ block: "nearest" });
  if (!current) return;
  const found = document.querySelector(`#tour-seen [data-step="${current}"]`);
  if (!found) return;
  one("tour-result").replaceChildren(...[...found.childNodes].map((node) => node.cloneNode(true)));
  if (!done) steps[current - 1].classList.add("done");
  done = true;
  one("tour-next").hidden = current === steps.length;
});
