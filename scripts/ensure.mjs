// Makes a checkout runnable: installs the locked packages, links the pinned Node and generates the database client.
// Runs on any Node >= 20.19 before a single package exists, so it is plain JavaScript without imports of others. It relies on no
// install script, prints to stderr alone, and refuses to go on after a failed step.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { arch, argv, env, execPath, exit, platform, version, versions } from 'node:process'
import { fileURLToPath } from 'node:url'

/** The directory that holds package.json. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const bin = join(root, 'node_modules', '.bin')
const lockFile = join(root, 'package-lock.json')
const generated = join(root, 'src', 'platform', 'db', 'generated')
const stampFile = join(generated, '.stamp')
const pinnedPackage = `node-${platform === 'win32' ? 'win' : platform}-${arch}`
const pinnedFile = join(pinnedPackage, 'bin', platform === 'win32' ? 'node.exe' : 'node')
const pinned = join(root, 'node_modules', pinnedFile)

function fail(sentence) {
  console.error(`Maristan: ${sentence}`)
  exit(1)
}

function changedAtMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs
}

/** Installs the locked packages when they are missing or older than the lock file. */
function installPackages() {
  const lockedAtMs = changedAtMs(lockFile)
  if (lockedAtMs === undefined) fail('package-lock.json is missing. Bring it back with: git checkout -- package-lock.json')
  const installedAtMs = changedAtMs(join(root, 'node_modules', '.package-lock.json'))
  if (installedAtMs !== undefined && installedAtMs >= lockedAtMs) return

  console.error('Maristan: installing the locked packages (npm ci).')
  // No package of ours needs its install script, and some would download.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
  // Under `npm start` the same npm goes on; without it the one on PATH is asked.
  const npmCli = env.npm_execpath?.endsWith('npm-cli.js') ? env.npm_execpath : undefined
  const options = { cwd: root, stdio: ['ignore', 2, 2] }
  const done = npmCli === undefined
    ? spawnSync('npm', args, { ...options, shell: platform === 'win32' })
    : spawnSync(execPath, [npmCli, ...args], options)
  if (done.status !== 0) fail('npm could not install the packages (see above). Mend that and repeat: npm ci --ignore-scripts')
}

/**
 * The Node that Maristan runs on: the pinned build, or this very Node where none is published and it is new enough.
 * Ends the process with a sentence when there is neither.
 */
export function runtime() {
  if (existsSync(pinned)) return pinned
  if (Number(versions.node.split('.')[0]) >= 24) return execPath
  return fail(
    `there is no pinned Node build for ${platform}-${arch} in node_modules, and this Node ${version} is older than 24. ` +
      'Repeat with: npm ci --include=optional, or install Node 24 and start again.',
  )
}

/** npm 10 removes the shared name `node` again when it skips a sibling platform's package, so the link is made here. */
function linkRuntime() {
  if (platform === 'win32' || runtime() !== pinned) return
  const link = join(bin, 'node')
  const target = join('..', pinnedFile)
  try {
    if (readlinkSync(link) === target) return
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EINVAL') throw error
  }
  mkdirSync(bin, { recursive: true })
  rmSync(link, { force: true })
  try {
    symlinkSync(target, link)
  } catch (error) {
    // Two starts at once: the other one was faster, and it makes the same link.
    if (error.code !== 'EEXIST') throw error
  }
}

/** What the generated client depends on, as one hash: the schema and the versions of both generators. */
function schemaStamp() {
  const schema = join(root, 'prisma', 'schema')
  const files = existsSync(schema)
    ? readdirSync(schema, { recursive: true }).filter((name) => name.endsWith('.prisma')).sort()
    : []
  if (files.length === 0) fail('prisma/schema holds no .prisma file. Bring it back with: git checkout -- prisma/schema')
  const hash = createHash('sha256')
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(schema, file))).update('\0')
  for (const generator of ['prisma', '@pothos/plugin-prisma']) {
    const manifest = join(root, 'node_modules', generator, 'package.json')
    if (!existsSync(manifest)) fail(`${generator}, which makes the database client, is not installed. Repeat with: npm ci --include=dev`)
    hash.update(`${generator}@${JSON.parse(readFileSync(manifest, 'utf8')).version}\0`)
  }
  return hash.digest('hex')
}

/** Generates the database client when the schema or a generator changed. */
function generateClient() {
  const stamp = schemaStamp()
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return

  console.error('Maristan: generating the database client (prisma generate).')
  // Whole, so that no file of a renamed model stays behind and an interrupted run is seen as missing.
  rmSync(generated, { recursive: true, force: true })
  const done = spawnSync(runtime(), [join(root, 'node_modules', 'prisma', 'build', 'index.js'), 'generate'], {
    cwd: root,
    encoding: 'utf8',
    env: {
      ...env,
      PATH: `${bin}${delimiter}${env.PATH ?? ''}`,
      // Generating never starts the engine, but looks for it: any executable spares the download.
      PRISMA_SCHEMA_ENGINE_BINARY: execPath,
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1',
    },
  })
  if (done.status !== 0) {
    console.error(`${done.stdout ?? ''}${done.stderr ?? ''}${done.error?.message ?? ''}`)
    fail('the database client could not be generated (see above). Mend prisma/schema and repeat: node scripts/ensure.mjs')
  }
  mkdirSync(generated, { recursive: true })
  writeFileSync(stampFile, stamp)
}

/** Does what is missing and nothing else; ends the process with status 1 and one sentence when a step fails. */
export function ensure() {
  try {
    installPackages()
    linkRuntime()
    generateClient()
  } catch (error) {
    fail(`the checkout could not be prepared: ${error.message}. Mend that and repeat: node scripts/ensure.mjs`)
  }
}

if (argv[1] !== undefined && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) ensure()
