/** Throw-away certificates for TLS tests, made by the openssl program. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A self-signed certificate that is its own authority: whoever holds it trusts whoever else holds it. PEM text. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  readonly ca: string
}

export const hasOpenssl = !spawnSync('openssl', ['version']).error

/** A new certificate, good for a day. Throws with the program's words when it fails. */
export function makeCertificate(): Certificate {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-tls-'))
  try {
    const [keyFile, certFile] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const files = ['-keyout', keyFile, '-out', certFile, '-days', '1', '-subj', '/CN=rookery-test']
    const { status, stderr } = spawnSync('openssl', ['req', '-x509', ...curve, ...files], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl: ${stderr}`)
    const cert = readFileSync(certFile, 'utf8')
    return { cert, key: readFileSync(keyFile, 'utf8'), ca: cert }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
