// Reads a query as JSON from each line of standard input, and writes a line of JSON that says what is wrong with it.
// Arguments: where node_modules is, and the tables as JSON: {name: schema}. Loading takes seconds, hence one process.
// The parser is Microsoft's own, compiled to JavaScript for browsers: it defines globals, hence runInThisContext.
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const vm = require('node:vm');

const folder = path.dirname(require.resolve('@kusto/language-service-next/package.json', { paths: [process.argv[2]] }));
for (const file of ['bridge.min.js', 'Kusto.Language.Bridge.min.js'])
  vm.runInThisContext(fs.readFileSync(path.join(folder, file), 'utf8'), { filename: file });

const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;
const symbols = Object.entries(JSON.parse(process.argv[3])).map(
  ([name, schema]) => new Symbols.TableSymbol.$ctor7(name, schema, ''),
);
const known = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('workspace', symbols));
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const found = KustoCode.ParseAndAnalyze(JSON.parse(line), known).GetDiagnostics();
  const wrong = Array.from({ length: found.Count }, (_, index) => found.getItem(index).Message);
  process.stdout.write(`${JSON.stringify(wrong)}\n`);
});
