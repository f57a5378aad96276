export default { output: "export", typescript: { tsconfigPath: "./tsconfig.json" } };
