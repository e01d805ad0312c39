// Prints what GitHub's language service has against the workflows named on the command line.
// usage: node --import ./json_modules.mjs check.mjs FILE...
import fs from 'node:fs';
import {validate} from '@actions/languageservice';
import {TextDocument} from 'vscode-languageserver-textdocument';

let found = 0;
for (const file of process.argv.slice(2)) {
  const document = TextDocument.create(`file://${file}`, 'yaml', 1, fs.readFileSync(file, 'utf8'));
  for (const {message, range} of await validate(document, {})) {
    found += 1;
    console.log(`${file}:${range.start.line + 1}: ${message}`);
  }
}
process.exit(found ? 1 : 0);
