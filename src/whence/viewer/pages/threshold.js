"use strict";

// A slider for the threshold of one class.

async function showThreshold(name = state.run.classes[0]) {
  await latest(WAITING.threshold, () => call("threshold", { class: name }), found => drawThreshold(name, found));
}

function drawThreshold(name, found) {
  const head = found.kind === "head start";
  const numbers = make("div", { class: "numbers", role: "status" });
  const cost = make("input", { type: "number", min: 0.01, step: "any", value: 10, id: "cost" });
  const slider = make("input", { type: "range", min: found.low, max: found.high, step: (found.high - found.low) / 1000, value: head ? 0 : 0.5, id: "threshold", "aria-describedby": "threshold-words" });
  const total = found.of_class.filter(Boolean).length;
  const box = (text, value) => make("div", {}, text, make("b", {}, value));
  const draw = () => {
    const at = Number(slider.value);
    slider.setAttribute("aria-valuetext", at.toFixed(3));
    let hits = 0, answers = 0;
    found.values.forEach((value, number) => { if (head ? value <= at : value >= at) { answers += 1; hits += found.of_class[number]; } });
    numbers.replaceChildren(box(head ? "head start in similarity" : "probability from which on", at.toFixed(3)), box(`${name} found (recall)`, total ? `${percent(hits / total)} (${hits} of ${total})` : "none there"),
      box("of these answers right (precision)", answers ? `${percent(hits / answers)} (${hits} of ${answers})` : "no answer"), box("cost (a false alarm costs 1)", (Number(cost.value) * (total - hits) + answers - hits).toLocaleString("en")));
  };
  slider.addEventListener("input", draw); cost.addEventListener("input", draw);
  draw();
  show("threshold", make("section", { class: "panel" }, make("h2", {}, "A threshold for one class"),
    make("div", { class: "row" }, choose("class", state.run.classes, name, attempt(showThreshold)), make("label", {}, `a missed ${name} costs`, cost, "times a false alarm")),
    make("p", { id: "threshold-words" }, head ? `Further to the right the answer is ${name} more readily: more images labelled ${name} are found, and more others are called so. At 0 the answers are as they are. The number is added to the similarity of stored images labelled ${name}.`
      : `Further to the left the answer is ${name} more readily: more images labelled ${name} are found, and more others are called so.`),
    make("label", { for: "threshold" }, head ? `How much more similar stored images labelled ${name} count` : `Answer ${name} from this probability on`), slider, numbers,
    make("p", { class: "soft" }, "This is on the test images, to look at. A threshold that is kept is chosen on validation images: whence evaluate RUN --target-recall, or whence train --target-recall.")));
}
