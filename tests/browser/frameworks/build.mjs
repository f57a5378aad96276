/** Bundles one page for the browser: node build.mjs NAME OUTPUT */
import { readFile } from "node:fs/promises";
import { build } from "esbuild";
import { compile } from "svelte/compiler";
import { compileScript, parse } from "@vue/compiler-sfc";

const [name, outfile] = process.argv.slice(2);
const svelte = {
  name: "svelte",
  setup({ onLoad }) {
    onLoad({ filter: /\.svelte$/ }, async ({ path: filename }) => {
      const source = await readFile(filename, "utf8");
      return { contents: compile(source, { filename, generate: "client" }).js.code };
    });
  },
};
const isCustomElement = (tag) => tag.startsWith("qr-");
const vue = {
  name: "vue",
  setup({ onLoad }) {
    onLoad({ filter: /\.vue$/ }, async ({ path: filename }) => {
      const { descriptor } = parse(await readFile(filename, "utf8"), { filename });
      const templateOptions = { compilerOptions: { isCustomElement } };
      const options = { id: "sfc", inlineTemplate: true, templateOptions };
      return { contents: compileScript(descriptor, options).content };
    });
  },
};
await build({
  entryPoints: [name], outfile, bundle: true, format: "esm", logLevel: "error", jsx: "automatic",
  conditions: ["browser", "production"], plugins: [svelte, vue],
  tsconfigRaw: { compilerOptions: { experimentalDecorators: true, useDefineForClassFields: false } },
  define: {
    "process.env.NODE_ENV": '"production"', "__VUE_OPTIONS_API__": "true",
    "__VUE_PROD_DEVTOOLS__": "false", "__VUE_PROD_HYDRATION_MISMATCH_DETAILS__": "false",
  },
  // Both versions of React run the same page, except for its events.
  alias: name.startsWith("react18") ? { react: "react18", "react-dom": "react-dom18" } : {},
});
