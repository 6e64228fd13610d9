// The button that measures: one measurement at a time, asked about twice a second until it is done.
import { ask, post, said, state } from "./lab.js";

const PATIENCE_MS = 500;
const button = document.getElementById("measure");
const stop = document.getElementById("stop");
const place = document.getElementById("measuring");
const bar = document.getElementById("measured");
const name = document.getElementById("measured-name");
const problem = document.getElementById("problem");

function show(progress) {
  place.hidden = !progress.running;
  stop.hidden = !progress.running;
  button.disabled = progress.running;
  bar.value = progress.share;
  name.textContent = progress.latest;
}

async function follow() {
  for (;;) {
    const answer = await fetch("/api/speed/progress");
    const progress = await answer.json();
    show(progress);
    if (!progress.running) break;
    await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  }
  ask(false);
}

button.addEventListener("click", async () => {
  problem.replaceChildren();
  show({ running: true, share: 0, latest: "" });
  const answer = await post("/api/speed/start", { state: state() });
  if (answer.error) problem.replaceChildren(...said(answer.said));
  follow();
});
stop.addEventListener("click", () => post("/api/speed/stop", {}));
if (!place.hidden) follow();
