// Sorts a table's blocks by a column at a press of its name; the page reads well without it.
"use strict";
for (const table of document.querySelectorAll("table")) {
  const names = [...table.querySelectorAll("th[data-sort]")];
  names.forEach((name, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...name.childNodes);
    name.append(button);
    button.addEventListener("click", () => {
      const pressed = name.getAttribute("aria-sort");
      const first = name.dataset.sort === "high" ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = pressed === first ? other : first;
      for (const each of names) each.removeAttribute("aria-sort");
      name.setAttribute("aria-sort", order);
      for (const block of table.tBodies) sort(block, column, order === "ascending" ? 1 : -1);
    });
  });
}

// Rows without a figure go to the end, whatever the order.
function sort(block, column, direction) {
  const valued = [...block.rows]
    .filter((row) => !row.classList.contains("block"))
    .map((row) => [row.cells[column]?.dataset.value ?? row.cells[column]?.textContent, row]);
  const number = (text) => (text === undefined || text.trim() === "" ? NaN : Number(text));
  const text = valued.every(([value]) => Number.isNaN(number(value)));
  valued.sort(([a], [b]) => {
    if (text) return direction * String(a ?? "").localeCompare(String(b ?? ""));
    const [left, right] = [number(a), number(b)];
    if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right);
    return direction * (left - right);
  });
  block.append(...valued.map(([, row]) => row));
}
