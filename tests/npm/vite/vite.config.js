export default { base: "./", esbuild: { jsx: "automatic" }, build: { minify: true } };
