// Runs a workflow on this machine: its conditions, needs, outputs and `run:` steps are real.
// usage: node --import ./json_modules.mjs run.mjs WORKFLOW SCENARIO, which prints a record as JSON
//
// Each job has a folder of its own, as each has a machine of its own at GitHub. Of the actions,
// checkout, upload-artifact and download-artifact are done; every other one is recorded, after a look
// at whether the job has the rights that it needs, as commands of `gh` do. Not done: matrix, services, containers, reusable
// workflows, timeouts, concurrency, approval of environments, filters by branch or path.
import fs from 'node:fs';
import path from 'node:path';
import {spawnSync} from 'node:child_process';
import yaml from 'yaml';
import {evaluateIf, evaluateMap, evaluateText} from './expressions.mjs';

const [file, scenarioFile] = process.argv.slice(2);
const workflow = yaml.parse(fs.readFileSync(file, 'utf8'));
const scenario = JSON.parse(fs.readFileSync(scenarioFile, 'utf8'));
const UNKNOWN = ['strategy', 'container', 'services', 'uses', 'defaults'];
const RIGHTS = {
  'actions/checkout': {contents: 'read'},
  'actions/attest': {attestations: 'write', 'id-token': 'write'},
  'aws-actions/configure-aws-credentials': {'id-token': 'write'},
  'peter-evans/create-pull-request': {contents: 'write', 'pull-requests': 'write'},
  'gh release create': {contents: 'write'},
  'gh pr comment': {'pull-requests': 'write'},
  'gh pr list': {'pull-requests': 'read'},
  'gh issue': {issues: 'write'},
};
const LEVELS = ['none', 'read', 'write'];

function git(...words) {
  const done = spawnSync('git', words, {encoding: 'utf8'});
  if (done.status !== 0) throw new Error(`git ${words.join(' ')}: ${done.stderr}`);
  return done.stdout.trim();
}

// What is missing to the job's token; a fork's may read and nothing else.
function missingRights(job, action) {
  return Object.entries(RIGHTS[action] ?? {})
    .filter(([right, level]) => {
      const asked = job.permissions?.[right] ?? 'none';
      const given = scenario.fork && asked === 'write' ? (right === 'id-token' ? 'none' : 'read') : asked;
      return LEVELS.indexOf(given) < LEVELS.indexOf(level);
    })
    .map(([right, level]) => `${right}: ${level}`);
}

// The lines of a file of KEY=VALUE or KEY<<END ... END.
function pairs(name) {
  const found = {};
  const lines = fs.readFileSync(name, 'utf8').split('\n');
  while (lines.length) {
    const line = lines.shift();
    const [, key, end] = /^([^=<]+)<<(.+)$/.exec(line) ?? [];
    if (key) {
      const block = lines.splice(0, lines.indexOf(end));
      found[key] = block.join('\n');
      lines.shift();
    } else if (line.includes('=')) {
      found[line.slice(0, line.indexOf('='))] = line.slice(line.indexOf('=') + 1);
    }
  }
  return found;
}

function checkout(workspace, inputs, context) {
  const folder = path.join(workspace, inputs.path ?? '');
  const ref = inputs.ref || context.github.sha;
  const depth = String(inputs['fetch-depth'] ?? '1');
  git('init', '--quiet', '--initial-branch=main', folder);
  git('-C', folder, 'remote', 'add', 'origin', scenario.origin);
  const shallow = depth === '0' ? ['--tags'] : ['--no-tags', `--depth=${depth}`];
  const what = depth === '0' ? ['+refs/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*', ref] : [ref];
  git('-C', folder, 'fetch', '--quiet', ...shallow, 'origin', ...what);
  git('-C', folder, 'checkout', '--quiet', '--detach', 'FETCH_HEAD');
  git('-C', folder, 'checkout', '--quiet', '--detach', ref);
  if (inputs['persist-credentials'] === 'false') {
    git('-C', folder, 'remote', 'set-url', '--push', 'origin', 'no-credentials-are-kept');
  }
}

function artifact(action, folder, inputs) {
  const stored = path.join(scenario.folder, 'artifacts', inputs.name);
  const here = path.join(folder, inputs.path);
  const [from, to] = action.endsWith('upload-artifact') ? [here, stored] : [stored, here];
  if (!fs.existsSync(from)) throw new Error(`no ${from}`);
  fs.cpSync(from, to, {recursive: true});
}

const DONE_HERE = {
  'actions/checkout': (folder, inputs, context) => checkout(folder, inputs, context),
  'actions/upload-artifact': (folder, inputs) => artifact('upload-artifact', folder, inputs),
  'actions/download-artifact': (folder, inputs) => artifact('download-artifact', folder, inputs),
};

function runAction(step, job, inputs, place, context) {
  const action = step.uses.split('@')[0];
  const lacking = missingRights(job, action);
  if (lacking.length) return {ok: false, message: `${action} needs ${lacking.join(', ')}`};
  try {
    DONE_HERE[action]?.(place.folder, inputs, context);
  } catch (error) {
    return {ok: false, message: error.message};
  }
  const planned = scenario.actions?.[action] ?? {};
  return {ok: !planned.fail, outputs: planned.outputs ?? {}, environment: planned.environment ?? {}};
}

function runScript(step, job, script, environment, place, number) {
  const command = Object.keys(RIGHTS).find((start) => `${script} `.startsWith(`${start} `));
  const lacking = missingRights(job, command);
  if (lacking.length) return {ok: false, message: `${command} needs ${lacking.join(', ')}`};
  const files = {};
  for (const name of ['OUTPUT', 'ENV', 'STEP_SUMMARY']) {
    files[`GITHUB_${name}`] = path.join(place.temporary, `${number}-${name.toLowerCase()}`);
    fs.writeFileSync(files[`GITHUB_${name}`], '');
  }
  const text = path.join(place.temporary, `${number}.sh`);
  fs.writeFileSync(text, script);
  const flags = step.shell === 'bash' ? ['--noprofile', '--norc', '-eo', 'pipefail'] : ['-e'];
  const done = spawnSync('bash', [...flags, text], {
    cwd: path.join(place.folder, step['working-directory'] ?? ''),
    encoding: 'utf8',
    env: {...scenario.environment, ...place.environment, ...files, ...environment},
  });
  return {
    ok: done.status === 0,
    outputs: pairs(files.GITHUB_OUTPUT),
    environment: pairs(files.GITHUB_ENV),
    summary: fs.readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8'),
    message: done.stdout + done.stderr,
  };
}

function runStep(step, number, job, place, context, status) {
  const name = step.uses ? step.uses.split('@')[0] : step.run;
  const record = {name, id: step.id, status: 'skipped'};
  if (!evaluateIf(step.if, context, status)) return {record, held: {outcome: 'skipped', conclusion: 'skipped', outputs: {}}};
  const environment = {...context.env, ...evaluateMap(step.env, context, status)};
  const inputs = evaluateMap(step.with, context, status);
  const done = step.uses
    ? runAction(step, job, inputs, place, context)
    : runScript(step, job, evaluateText(step.run, context, status), environment, place, number);
  const outcome = done.ok ? 'success' : 'failure';
  const conclusion = !done.ok && step['continue-on-error'] ? 'success' : outcome;
  Object.assign(record, {status: outcome, inputs, message: done.message, summary: done.summary});
  return {record, environment: done.environment, held: {outcome, conclusion, outputs: done.outputs ?? {}}};
}

function place(id) {
  const folder = path.join(scenario.folder, 'jobs', id);
  const temporary = path.join(scenario.folder, 'temporary', id);
  [folder, temporary].forEach(each => fs.mkdirSync(each, {recursive: true}));
  const event = path.join(temporary, 'event.json');
  fs.writeFileSync(event, JSON.stringify(scenario.github.event));
  const {github} = scenario;
  const environment = {
    CI: 'true', GITHUB_ACTIONS: 'true', GITHUB_JOB: id, GITHUB_WORKSPACE: folder, RUNNER_TEMP: temporary,
    GITHUB_EVENT_PATH: event, GITHUB_EVENT_NAME: github.event_name, GITHUB_SHA: github.sha,
    GITHUB_REF: github.ref, GITHUB_REPOSITORY: github.repository, GITHUB_RUN_ID: '1',
  };
  return {folder, temporary, environment};
}

function runJob(id, job, done) {
  const unknown = UNKNOWN.filter(key => key in job);
  if (unknown.length) throw new Error(`${id}: this runner does not know ${unknown.join(', ')}`);
  const needed = Object.fromEntries([].concat(job.needs ?? []).map(name => [name, done[name]]));
  const results = Object.values(needed).map(each => each.result);
  const before = results.includes('failure') ? 'failure' : results.includes('skipped') ? 'skipped' : 'success';
  const context = {
    github: scenario.github, vars: scenario.vars, secrets: scenario.secrets, needs: needed,
    inputs: {}, runner: {os: 'Linux'}, env: {}, steps: {}, job: {}, matrix: {}, strategy: {},
  };
  if (!evaluateIf(job.if, context, before)) return {result: 'skipped', outputs: {}, steps: []};
  const here = place(id);
  let status = 'success';
  context.env = evaluateMap(workflow.env, context, status);
  context.env = {...context.env, ...evaluateMap(job.env, context, status)};
  const steps = [];
  for (const [number, step] of job.steps.entries()) {
    const {record, held, environment} = runStep(step, number, job, here, context, status);
    steps.push(record);
    if (step.id) context.steps[step.id] = held;
    Object.assign(context.env, environment);
    if (held.conclusion === 'failure') status = 'failure';
  }
  const {environment} = job;
  return {result: status, outputs: evaluateMap(job.outputs, context, status), steps, environment};
}

const done = {};
const waiting = Object.entries(workflow.jobs);
while (waiting.length) {
  const next = waiting.findIndex(([, job]) => [].concat(job.needs ?? []).every(name => name in done));
  if (next < 0) throw new Error('jobs need one another in a circle');
  const [[id, job]] = waiting.splice(next, 1);
  done[id] = runJob(id, job, done);
}
console.log(JSON.stringify(done, null, 1));
