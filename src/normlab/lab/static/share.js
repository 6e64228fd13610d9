// The sharing board: pointing at a cell, or moving to it with the arrow keys, lifts everything that shares its statistic.

const output = document.getElementById("output");
let last = null; // the board and the place of the cell that was lifted last, so that it is lifted again on a new board

const cellsOf = (board) => [...board.querySelectorAll("[role=option]")];

/** Where a cell is drawn: its own path begins there. */
function corner(cell) {
  const [x, y] = cell.firstElementChild.getAttribute("d").slice(1).split(/[ h]/);
  return { x: Number(x), y: Number(y) };
}

/** The cells of the sets that are lifted with this one: its own set or, where sets overlap, those of its window. */
function shared(cell, board) {
  const set = cell.parentNode;
  if (!set.dataset.window) return [set];
  const members = new Set(set.dataset.window.split(" "));
  return [...board.querySelectorAll(".set")].filter((one) => members.has(one.dataset.set));
}

function lift(cell) {
  const board = cell.closest(".live-board");
  const chosen = shared(cell, board);
  for (const set of board.querySelectorAll(".set")) set.classList.toggle("lit", chosen.includes(set));
  for (const one of cellsOf(board)) {
    const here = one === cell;
    one.classList.toggle("here", here);
    one.setAttribute("aria-selected", String(chosen.includes(one.parentNode)));
    one.setAttribute("tabindex", here ? "0" : "-1");
  }
  board.classList.add("lifted");
  last = { board: board.dataset.board, label: cell.getAttribute("aria-label").split(" = ")[0] };
  read(cell, board);
}

/** The set's sentence in both languages, and the way from this value to what comes out. */
function read(cell, board) {
  const words = cell.parentNode.dataset;
  const value = cell.getAttribute("aria-label").split(" = ")[1];
  const line = board.querySelector(".reading");
  const korean = document.documentElement.lang === "ko";
  const spans = [["en", words.wordsEn], ["ko", words.wordsKo]].map(([lang, text]) => {
    const span = document.createElement("span");
    span.lang = lang;
    span.hidden = (lang === "ko") !== korean;
    span.textContent = text;
    return span;
  });
  const parts = [...spans];
  if (words.how) {
    const code = document.createElement("code");
    code.textContent = words.how.replace("{x}", value).replace("{y}", cell.dataset.y ?? "");
    parts.push(document.createElement("br"), code);
  }
  line.replaceChildren(...parts);
}

/** The nearest cell in the direction of an arrow; in the same row, or the same column of the drawing. */
function neighbour(cell, key) {
  const all = cellsOf(cell.closest(".live-board")).map((one) => ({ one, ...corner(one) }));
  const from = corner(cell);
  const across = key === "ArrowLeft" || key === "ArrowRight" || key === "Home" || key === "End";
  const line = all.filter((at) => (across ? at.y === from.y : at.x === from.x));
  line.sort((a, b) => (across ? a.x - b.x : a.y - b.y));
  const place = line.findIndex((at) => at.one === cell);
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -place, End: line.length - 1 - place }[key];
  return line[place + step]?.one;
}

output.addEventListener("pointerover", (event) => {
  const cell = event.target.closest("[role=option]");
  if (cell) lift(cell);
});
output.addEventListener("focusin", (event) => {
  const cell = event.target.closest("[role=option]");
  if (cell) lift(cell);
});
output.addEventListener("keydown", (event) => {
  const cell = event.target.closest("[role=option]");
  if (!cell || !["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
  event.preventDefault();
  neighbour(cell, event.key)?.focus();
});

/** Settings that play no part in this board are dimmed; they still work. */
function dim() {
  const names = (document.getElementById("unused")?.dataset.names ?? "").split(" ");
  for (const control of document.querySelectorAll("#settings [name]"))
    control.closest(".control")?.classList.toggle("unused", names.includes(control.name));
}
dim();
document.addEventListener("lab:shown", dim);

/** On a new board: the cell that was lifted on the last one, if there is one of that name. */
document.addEventListener("lab:shown", () => {
  if (!last) return;
  const board = output.querySelector(`.live-board[data-board="${last.board}"]`) ?? output.querySelector(".live-board");
  const cell = board && cellsOf(board).find((one) => one.getAttribute("aria-label").split(" = ")[0] === last.label);
  if (cell) lift(cell);
});

// Whoever writes a line wants to see that line.
const line = document.querySelector('#settings [name="line"]');
const method = document.querySelector('#settings [name="method"]');
line?.addEventListener("input", () => {
  method.value = "line"; // before the form asks: it listens further out
});

// What is wrong with the line is said in the page's one place for problems; the line points there.
const problem = document.getElementById("problem");
if (line) {
  line.setAttribute("aria-describedby", "problem");
  new MutationObserver(() => {
    if (problem.textContent && method.value === "line") line.setAttribute("aria-invalid", "true");
    else line.removeAttribute("aria-invalid");
  }).observe(problem, { childList: true });
}
