/**
 * Debian's SimpleSAMLphp as an identity provider on loopback, run by PHP's own server with a configuration of its own. Nothing of it is
 * ours: it reads our metadata, checks our signatures and answers as it sees fit.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'
import { makeProvider } from '../../kit/saml-provider.ts'
import { freePort, until } from '../../kit/server.ts'

const installed = '/usr/share/simplesamlphp/www'

export interface ThirdParty {
  readonly url: string
  readonly metadataUrl: string
  /** Makes our service provider known to it, from our own metadata document. */
  trust(metadata: string, options?: { encrypts?: boolean }): void
  stop(): Promise<void>
}

const php = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(php).join(', ')}]`
  if (typeof value === 'object' && value !== null) return `[${Object.entries(value).map(([name, one]) => `${php(name)} => ${php(one)}`).join(', ')}]`
  if (typeof value === 'string') return `'${value.replace(/[\\']/g, '\\$&')}'`
  return String(value)
}

/** @throws when SimpleSAMLphp or PHP is not installed: CI installs them, and their absence fails. */
export async function startThirdParty(): Promise<ThirdParty> {
  if (!existsSync(installed)) throw new Error('SimpleSAMLphp is not installed: apt-get install simplesamlphp php-cli php-xml php-mbstring')
  const directory = mkdtempSync(join(tmpdir(), 'maristan-idp-'))
  for (const name of ['metadata', 'cert', 'data', 'log', 'tmp', 'sessions']) mkdirSync(join(directory, name))
  const url = `http://127.0.0.1:${await freePort()}`
  const keys = makeProvider(url)
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text, { mode: 0o600 })
  write('cert/idp.pem', keys.key.export({ type: 'pkcs8', format: 'pem' }).toString())
  write('cert/idp.crt', keys.certificate)
  const config = {
    baseurlpath: `${url}/`,
    certdir: `${directory}/cert/`,
    loggingdir: `${directory}/log/`,
    datadir: `${directory}/data/`,
    tempdir: `${directory}/tmp`,
    metadatadir: `${directory}/metadata/`,
    secretsalt: 'of this run only, and of no use to anybody',
    'auth.adminpassword': 'nobody administers this one',
    technicalcontact_email: 'nobody@hospital.example',
    timezone: 'UTC',
    'logging.handler': 'file',
    'logging.logfile': 'idp.log',
    'enable.saml20-idp': true,
    'module.enable': { exampleauth: true, core: true, saml: true },
    'session.phpsession.savepath': `${directory}/sessions`,
    'session.cookie.secure': false,
    'language.default': 'en',
    'metadata.sources': [{ type: 'flatfile' }],
    'store.type': 'phpsession',
  }
  write('config.php', `<?php\n$config = ${php(config)};\n`)
  const person = { uid: ['noor'], mail: ['noor@hospital.example'], groups: ['nurses', 'ward 7 & 8'] }
  const sources = { hospital: { 0: 'exampleauth:UserPass', 'noor:a password of this run': person } }
  write('authsources.php', `<?php\n$config = ${php(sources).replace("'0' =>", '0 =>')};\n`)
  const format = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'
  const hosted = {
    host: '__DEFAULT__',
    privatekey: 'idp.pem',
    certificate: 'idp.crt',
    auth: 'hospital',
    NameIDFormat: format,
    'redirect.validate': true,
    authproc: { 3: { class: 'saml:AttributeNameID', attribute: 'uid', Format: format } },
  }
  write('metadata/saml20-idp-hosted.php', `<?php\n$metadata[${php(`${url}/saml2/idp/metadata.php`)}] = ${php(hosted)};\n`)
  write('metadata/saml20-sp-remote.php', '<?php\n')

  const env = { PATH: process.env['PATH'], SIMPLESAMLPHP_CONFIG_DIR: directory }
  const child: ChildProcess = spawn('php', ['-d', 'opcache.enable_cli=0', '-d', 'display_errors=0', '-S', new URL(url).host, '-t', installed], {
    env,
    stdio: 'ignore',
  })
  const metadataUrl = `${url}/saml2/idp/metadata.php`
  await until('SimpleSAMLphp answers', async () => {
    if (child.exitCode !== null) throw new Error('PHP ended.')
    return fetch(metadataUrl).then((answer) => answer.ok, () => false)
  })
  return {
    url,
    metadataUrl,

    trust(metadata, { encrypts = false } = {}) {
      const location = (element: string) => new RegExp(`<${element}[^>]*Location="([^"]+)"`).exec(metadata)?.[1] ?? ''
      const entityId = /entityID="([^"]+)"/.exec(metadata)?.[1] ?? ''
      const keysOf = [...metadata.matchAll(/use="(signing|encryption)".*?X509Certificate>([^<]+)</gs)].map(([, use, text]) => ({
        encryption: use === 'encryption',
        signing: use === 'signing',
        type: 'X509Certificate',
        X509Certificate: new X509Certificate(`-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----`).raw.toString('base64'),
      }))
      const remote = {
        AssertionConsumerService: [{ Location: location('AssertionConsumerService'), Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST' }],
        SingleLogoutService: [{ Location: location('SingleLogoutService'), Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect' }],
        keys: keysOf,
        'validate.authnrequest': true,
        'validate.logout': true,
        'sign.logout': true,
        'assertion.encryption': encrypts,
        sharedkey_algorithm: 'http://www.w3.org/2001/04/xmlenc#aes256-cbc',
      }
      write('metadata/saml20-sp-remote.php', `<?php\n$metadata[${php(entityId)}] = ${php(remote)};\n`)
    },

    async stop() {
      const ended = new Promise((resolve) => child.once('close', resolve))
      child.kill('SIGTERM')
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
