/** The TLS directives as options of node:tls. */
import type { SecureContextOptions, SecureVersion, TLSSocket } from 'node:tls'
import type { ConfigValues } from './directives.ts'
import type { Config, Files } from './settings.ts'

/** Which end of a connection the options are for. */
export type TlsRole = 'server' | 'client'

/** What `tls.createServer` and `tls.connect` both take. */
export interface TlsOptions extends SecureContextOptions {
  requestCert: boolean
  rejectUnauthorized: boolean
  /** Client side: certificates are judged by their issuer alone, as real nodes do; they rarely name the address dialled. */
  checkServerIdentity?: () => undefined
}

const VERSIONS: Readonly<Record<string, SecureVersion>> = {
  tlsv1: 'TLSv1',
  'tlsv1.1': 'TLSv1.1',
  'tlsv1.2': 'TLSv1.2',
  'tlsv1.3': 'TLSv1.3',
}
const ORDER = Object.values(VERSIONS)

/** Reads the files the directives name. Throws an Error that names the directive, and the file if one is the trouble. */
export function buildTlsOptions(config: Config, role: TlsRole, files: Files): TlsOptions {
  const { values } = config
  const read = (directive: string, path: string): Buffer => {
    const full = config.resolve(path)
    try {
      return files.read(full)
    } catch (cause) {
      throw new Error(`${directive} '${full}': ${files.describe(cause)}`, { cause })
    }
  }
  const options: TlsOptions = {
    requestCert: role === 'client' || values.tlsAuthClients !== 'no',
    rejectUnauthorized: role === 'client' || values.tlsAuthClients === 'yes',
    ...identity(values, role, read),
    ...ciphersAndVersions(values),
  }
  const ca = authorities(config, files, read)
  if (ca.length > 0) options.ca = ca
  else if (options.requestCert)
    throw new Error(
      'tls-ca-cert-file or tls-ca-cert-dir is needed to verify the other side (see also tls-auth-clients)',
    )
  if (role === 'client') options.checkServerIdentity = () => undefined
  if (role === 'server' && values.tlsDhParamsFile !== '')
    options.dhparam = read('tls-dh-params-file', values.tlsDhParamsFile)
  return options
}

/** With `tls-auth-clients optional` a connection without a certificate is welcome, one with a bad certificate is not:
 *  node:tls lets both in, so the listener has to ask. */
export const isWelcome = (values: ConfigValues, socket: TLSSocket): boolean =>
  values.tlsAuthClients !== 'optional' || socket.authorized || Object.keys(socket.getPeerCertificate()).length === 0

type Read = (directive: string, path: string) => Buffer

/** Our certificate and key; a client may have a pair of its own. */
function identity(values: ConfigValues, role: TlsRole, read: Read): SecureContextOptions {
  const own = role === 'client' && values.tlsClientCertFile !== ''
  const prefix = own ? 'tls-client' : 'tls'
  const [cert, key, pass] = own
    ? [values.tlsClientCertFile, values.tlsClientKeyFile, values.tlsClientKeyFilePass]
    : [values.tlsCertFile, values.tlsKeyFile, values.tlsKeyFilePass]
  if (cert === '') throw new Error(`No ${prefix}-cert-file configured!`)
  if (key === '') throw new Error(`No ${prefix}-key-file configured!`)
  return {
    cert: read(`${prefix}-cert-file`, cert),
    key: read(`${prefix}-key-file`, key),
    ...(pass === '' ? {} : { passphrase: pass }),
  }
}

function authorities(config: Config, files: Files, read: Read): Buffer[] {
  const { tlsCaCertFile, tlsCaCertDir } = config.values
  const found = tlsCaCertFile === '' ? [] : [read('tls-ca-cert-file', tlsCaCertFile)]
  if (tlsCaCertDir === '') return found
  const folder = config.resolve(tlsCaCertDir)
  let names: readonly string[]
  try {
    names = files.list(folder)
  } catch (cause) {
    throw new Error(`tls-ca-cert-dir '${folder}': ${files.describe(cause)}`, { cause })
  }
  const pem = names.filter((name) => /\.(pem|crt|cer|\d+)$/.test(name))
  return [...found, ...pem.map((name) => read('tls-ca-cert-dir', files.resolve(folder, name)))]
}

function ciphersAndVersions(values: ConfigValues): SecureContextOptions {
  const options: SecureContextOptions = { sessionTimeout: values.tlsSessionCacheTimeout }
  if (values.tlsPreferServerCiphers) options.honorCipherOrder = true
  // node:tls takes the suites of TLS 1.3 and the ciphers before it in one list.
  const ciphers = [values.tlsCiphersuites, values.tlsCiphers].filter((list) => list !== '')
  if (ciphers.length > 0) options.ciphers = ciphers.join(':')
  if (values.tlsProtocols === '') return options
  const wanted = values.tlsProtocols.split(/\s+/).map((name) => {
    const version = VERSIONS[name.toLowerCase()]
    if (version === undefined)
      throw new Error(`tls-protocols '${values.tlsProtocols}': Invalid tls-protocols specified.`)
    return ORDER.indexOf(version)
  })
  return { ...options, minVersion: ORDER[Math.min(...wanted)]!, maxVersion: ORDER[Math.max(...wanted)]! }
}
