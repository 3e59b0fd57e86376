// Reads {tables: {name: schema}, queries: [text]} from standard input, and writes for each query what is wrong with it.
// The parser is Microsoft's own, compiled to JavaScript for browsers: it defines globals, hence runInThisContext.
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const folder = path.dirname(require.resolve('@kusto/language-service-next/package.json', { paths: [process.argv[2]] }));
for (const file of ['bridge.min.js', 'Kusto.Language.Bridge.min.js'])
  vm.runInThisContext(fs.readFileSync(path.join(folder, file), 'utf8'), { filename: file });

const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;
const { tables, queries } = JSON.parse(fs.readFileSync(0, 'utf8'));
const symbols = Object.entries(tables).map(([name, schema]) => new Symbols.TableSymbol.$ctor7(name, schema, ''));
const known = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('workspace', symbols));
const wrong = queries.map((query) => {
  const found = KustoCode.ParseAndAnalyze(query, known).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, index) => found.getItem(index).Message);
});
process.stdout.write(JSON.stringify(wrong));
