// Bundles the npm packages that pages use into the folder named by the first argument. Run by hatch_build.py.
import { cp, mkdir, readFile, writeFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { build, transform } from "esbuild";
import { PurgeCSS } from "purgecss";

const PACKAGES = [
  "idiomorph", "hls.js", "qr", "@kern-ux/native", "@fontsource/fira-sans", "yjs", "lib0", "y-protocols", "y-prosemirror",
  "prosemirror-commands", "prosemirror-inputrules", "prosemirror-keymap", "prosemirror-model", "prosemirror-schema-list",
  "prosemirror-state", "prosemirror-transform", "prosemirror-view", "orderedmap", "w3c-keyname",
];
const MODULES = { "idiomorph.js": "idiomorph", "hls.js": "hls.js/light", "qr.js": "qr/decode.js" };
const TYPES = {
  "idiomorph.d.ts": "idiomorph/dist/idiomorph.d.ts",
  "hls.d.ts": "hls.js/dist/hls.d.ts",
  "qr.d.ts": "qr/decode.d.ts",
};
/** What the editor of shared notes (js/notes.js) is made of, in one file, so that each part is there once. */
const EDITOR = `
  export { Doc, XmlElement, XmlText, applyUpdate, decodeStateVector, encodeStateAsUpdate, encodeStateVector, mergeUpdates } from "yjs";
  export { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
  export { initProseMirrorDoc, redo, undo, yCursorPlugin, ySyncPlugin, ySyncPluginKey, yUndoPlugin, yUndoPluginKey } from "y-prosemirror";
  export { baseKeymap, chainCommands, setBlockType, toggleMark } from "prosemirror-commands";
  export { inputRules, textblockTypeInputRule, wrappingInputRule } from "prosemirror-inputrules";
  export { keymap } from "prosemirror-keymap";
  export { Schema } from "prosemirror-model";
  export { liftListItem, sinkListItem, splitListItem, wrapInList } from "prosemirror-schema-list";
  export { EditorState, Plugin } from "prosemirror-state";
  export { EditorView } from "prosemirror-view";
`;
// KERN's regular and semi-bold; its medium (500) falls back to regular, the browsers' bold (700) to semi-bold.
const WEIGHTS = [400, 600];
const USERS = ["templates/**/*.html", "static/js/**/*.js", "*.py"];

const out = process.argv[2];
const packageFile = (...path) => join("node_modules", ...path);

await mkdir(join(out, "fonts"), { recursive: true });
await Promise.all([modules(), types(), kern(), fonts(), licenses()]);

async function modules() {
  for (const [file, name] of Object.entries(MODULES)) await bundled(file, { entryPoints: [name] });
  await bundled("editor.js", { stdin: { contents: EDITOR, resolveDir: "." } });
}

async function bundled(file, source) {
  await build({
    ...source, outfile: join(out, file),
    bundle: true, minify: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning",
  });
}

async function types() {
  for (const [file, source] of Object.entries(TYPES)) await cp(packageFile(source), join(out, file));
  await write("editor.d.ts", EDITOR);
}

/** KERN without what no template, script or Python file names, in a layer of its own so that our layers come after it. */
async function kern() {
  const [purged] = await new PurgeCSS().purge({
    css: [packageFile("@kern-ux/native/dist/kern.css")],
    content: USERS,
    defaultExtractor: (text) => text.match(/[\w-]+/g) ?? [],
    dynamicAttributes: ["data-kern-theme", "open", "disabled", "aria-disabled", "aria-expanded", "aria-current"],
    keyframes: true,
  });
  const css = purged.css.replace('@charset "UTF-8";', "");
  await write("kern.css", await minified(`@layer kern {${css}}`));
}

/** Fira Sans, split by script: a browser loads only the files whose characters a page has. */
async function fonts() {
  const sheets = await Promise.all(WEIGHTS.map((w) => readFile(packageFile(`@fontsource/fira-sans/${w}.css`), "utf8")));
  const css = sheets.join("\n").replaceAll(/, url\([^)]*\.woff\) format\('woff'\)/g, "").replaceAll("./files/", "./fonts/");
  for (const [, file] of css.matchAll(/\.\/fonts\/([\w.-]+)/g))
    await cp(packageFile("@fontsource/fira-sans/files", file), join(out, "fonts", file));
  await write("fonts.css", await minified(css));
}

async function licenses() {
  const texts = await Promise.all(PACKAGES.map(license));
  await write("LICENSES.txt", texts.join(`\n${"=".repeat(80)}\n\n`));
}

async function license(name) {
  const { version, license } = JSON.parse(await readFile(packageFile(name, "package.json"), "utf8"));
  const files = (await readdir(packageFile(name))).filter((entry) => /^licen[cs]e/i.test(entry)).sort();
  if (!files.length) throw new Error(`${name} has no licence file`);
  const texts = await Promise.all(files.map((file) => readFile(packageFile(name, file), "utf8")));
  return `${name} ${version}, ${license}\n\n${texts.join("\n\n")}`;
}

async function minified(css) {
  return (await transform(css, { loader: "css", minify: true, legalComments: "none" })).code;
}

async function write(file, text) {
  await writeFile(join(out, file), text);
}
