"use strict";
// Tables sort by a click or by the keyboard; what is not known stays at the end.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      // numbers are most interesting from the top
      const first = header.classList.contains("number") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = header.getAttribute("aria-sort") === first ? other : first;
      headers.forEach((one) => one.setAttribute("aria-sort", one === header ? order : "none"));
      const sign = order === "ascending" ? 1 : -1;
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => ({ row, key: keyOf(row.cells[column], header) }));
      rows.sort((a, b) => {
        if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
        return sign * (typeof a.key === "number" ? a.key - b.key : a.key.localeCompare(b.key, "en", { numeric: true }));
      });
      body.append(...rows.map((entry) => entry.row));
      document.getElementById("said").textContent = `${table.caption.textContent}: sorted by ${header.textContent}, ${order}`;
    });
  });
}

function keyOf(cell, header) {
  if (header.classList.contains("number")) return "value" in cell.dataset ? Number(cell.dataset.value) : null;
  return cell.textContent.trim();
}

for (const box of document.querySelectorAll("[data-overlays]")) {
  box.addEventListener("change", () => box.closest("section").classList.toggle("bare", !box.checked));
}

// paper shows what is folded on the screen
let folded = [];
window.addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((part) => { part.open = true; });
});
window.addEventListener("afterprint", () => folded.forEach((part) => { part.open = false; }));
