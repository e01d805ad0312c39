// GitHub's expression engine over plain objects.
import {Evaluator, Lexer, Parser, data} from '@actions/expressions';

const CONTEXTS = [
  'github', 'env', 'vars', 'secrets', 'needs', 'steps', 'inputs', 'job', 'runner', 'matrix', 'strategy',
];
const STATUS = /\b(success|failure|always|cancelled)\s*\(/;

function toData(value) {
  if (value === null || value === undefined) return new data.Null();
  if (typeof value === 'boolean') return new data.BooleanData(value);
  if (typeof value === 'number') return new data.NumberData(value);
  if (typeof value === 'string') return new data.StringData(value);
  if (Array.isArray(value)) return new data.Array(...value.map(toData));
  const entries = Object.entries(value).map(([key, each]) => ({key, value: toData(each)}));
  return new data.Dictionary(...entries);
}

// `status` is that of what came before: success, failure or skipped.
function evaluate(source, context, status) {
  const answers = {
    success: status === 'success',
    failure: status === 'failure',
    always: true,
    cancelled: false,
  };
  const functions = Object.entries(answers).map(([name, answer]) => ({
    name, minArgs: 0, maxArgs: 9, call: () => new data.BooleanData(answer),
  }));
  const tree = new Parser(new Lexer(source).lex().tokens, CONTEXTS, functions).parse();
  const known = new Map(functions.map(each => [each.name, each]));
  return new Evaluator(tree, toData(context), known).evaluate();
}

export function evaluateText(text, context, status) {
  return String(text).replace(/\$\{\{([\s\S]+?)\}\}/g, (_, source) =>
    evaluate(source.trim(), context, status).coerceString());
}

export function evaluateMap(map, context, status) {
  const entries = Object.entries(map ?? {});
  return Object.fromEntries(entries.map(([key, each]) => [key, evaluateText(each, context, status)]));
}

// A condition without a status function holds only after success, as at GitHub.
export function evaluateIf(condition, context, status) {
  if (condition === undefined) return status === 'success';
  const source = String(condition).trim().replace(/^\$\{\{([\s\S]*)\}\}$/, '$1').trim();
  const whole = STATUS.test(source) ? source : `success() && (${source})`;
  return evaluate(`!!(${whole})`, context, status).coerceString() === 'true';
}
