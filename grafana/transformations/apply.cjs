// Applies a dashboard's own transformations to frames, with Grafana's code: JSON in, JSON out.
// stdin: [{"transformations": [...], "frames": [{"refId", "fields": [{"name", "type", "values"}]}]}]
// stdout: for each, the frames that come out, as {columns: [...], rows: [[...]]}
const data = require("@grafana/data");

globalThis.window ??= globalThis; // looked at when a value is shown, and taken for a browser if set before

const known = new Map(Object.values(data.standardTransformers).map((each) => [each.id, each])); // some stand there twice
data.standardTransformersRegistry.setInit(() =>
  [...known.values()].map((each) => ({ id: each.id, name: each.name, transformation: async () => each, editor: null })),
);

function applied({ transformations, frames }) {
  const made = frames.map((frame) => data.toDataFrame(frame));
  return new Promise((done, failed) => data.transformDataFrame(transformations, made).subscribe({ next: done, error: failed }));
}

function shown(frame) {
  const columns = frame.fields.map((field) => field.config?.displayName ?? field.name);
  const rows = Array.from({ length: frame.length }, (_, row) => frame.fields.map((field) => field.values[row] ?? null));
  return { columns, rows };
}

async function main() {
  const input = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  for (const step of input.flatMap((panel) => panel.transformations)) {
    if (!data.standardTransformersRegistry.getIfExists(step.id)) throw new Error(`unknown transformation ${step.id}`);
  }
  const results = await Promise.all(input.map(applied));
  process.stdout.write(JSON.stringify(results.map((frames) => frames.map(shown))));
}

main().catch((error) => { process.stderr.write(`${error.message}\n`); process.exit(1); });
