// Turns the order of the photographs around; the page reads well without it.
"use strict";
const photos = document.getElementById("photos");
const turn = document.createElement("button");
turn.type = "button";
turn.id = "turn";
let best = true;
const name = () => {
  turn.textContent = best ? "best first: show the worst first" : "worst first: show the best first";
};
turn.addEventListener("click", () => {
  photos.append(...[...photos.children].reverse());
  best = !best;
  name();
});
name();
document.querySelector('label[for="differ"]').after(turn);
