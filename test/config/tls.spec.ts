/** TLS directives as options of node:tls, judged by a handshake between the two ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { type Config, createConfig, isWelcome, tlsOptions } from '../../lib/config.ts'
import { hasOpenssl, makeCertificate } from '../support/certificates.ts'

describe('tls directives', () => {
  let folder: string
  let config: Config

  before(function () {
    if (!hasOpenssl) this.skip()
    folder = mkdtempSync(join(tmpdir(), 'rookery-tls-'))
    const { cert, key, ca } = makeCertificate()
    writeFileSync(join(folder, 'node.crt'), cert)
    writeFileSync(join(folder, 'node.key'), key)
    writeFileSync(join(folder, 'ca.crt'), ca)
    writeFileSync(join(folder, 'other.crt'), makeCertificate().ca)
  })
  beforeEach(() => {
    config = createConfig(folder)
    set('tls-cert-file', 'node.crt')
    set('tls-key-file', 'node.key')
    set('tls-ca-cert-file', 'ca.crt')
  })
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  const set = (name: string, value: string): void => assert.equal(config.set([[name, value]]), undefined)

  /** The protocol two ends agree on; rejects when they do not talk. */
  async function handshake(withCertificate = true): Promise<string> {
    const server = createServer({ ...tlsOptions(config, 'server') }, (socket: TLSSocket) => {
      socket.on('error', () => {})
      if (isWelcome(config.values, socket)) socket.end('hello')
      else socket.destroy()
    })
    server.on('tlsClientError', () => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { cert, key, ...anonymous } = tlsOptions(config, 'client')
    const { port } = server.address() as AddressInfo
    const socket = connect({ port, host: '127.0.0.1', ...anonymous, ...(withCertificate ? { cert, key } : {}) })
    try {
      const [hello] = (await once(socket, 'data')) as [Buffer]
      assert.equal(String(hello), 'hello')
      return socket.getProtocol() ?? ''
    } finally {
      socket.destroy()
      server.close()
    }
  }

  it('let two nodes of one authority talk', async () => {
    assert.equal(await handshake(), 'TLSv1.3')
  })

  it('keep out who has no certificate, unless tls-auth-clients says otherwise', async () => {
    await assert.rejects(handshake(false))
    set('tls-auth-clients', 'optional')
    await handshake(false)
    await handshake()
    set('tls-auth-clients', 'no')
    await handshake(false)
  })

  it('limit protocol versions and ciphers', async () => {
    set('tls-protocols', 'TLSv1.2')
    assert.equal(await handshake(), 'TLSv1.2')
    set('tls-protocols', 'TLSv1.2 TLSv1.3')
    set('tls-ciphersuites', 'TLS_AES_128_GCM_SHA256')
    set('tls-ciphers', 'ECDHE-ECDSA-AES128-GCM-SHA256')
    assert.equal(await handshake(), 'TLSv1.3')
    assert.equal(tlsOptions(config, 'server').ciphers, 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256')
  })

  it('take authorities from a folder too', async () => {
    set('tls-ca-cert-file', '')
    set('tls-ca-cert-dir', '.')
    await handshake()
  })

  it('do not trust another authority', async () => {
    set('tls-ca-cert-file', 'other.crt')
    await assert.rejects(handshake())
  })

  it('give a client end its own certificate when it has one', () => {
    writeFileSync(join(folder, 'client.crt'), 'client certificate')
    writeFileSync(join(folder, 'client.key'), 'client key')
    set('tls-client-cert-file', 'client.crt')
    set('tls-client-key-file', 'client.key')
    set('tls-client-key-file-pass', 'secret')
    assert.equal(String(tlsOptions(config, 'client').cert), 'client certificate')
    assert.equal(tlsOptions(config, 'client').passphrase, 'secret')
    assert.notEqual(String(tlsOptions(config, 'server').cert), 'client certificate')
  })

  it('say which directive is the trouble, and which file', () => {
    const refused = (message: RegExp): void => assert.throws(() => tlsOptions(config, 'server'), { message })
    set('tls-key-file', 'none.key')
    refused(/^tls-key-file '.*none.key': No such file or directory$/)
    set('tls-key-file', '')
    refused(/^No tls-key-file configured!$/)
    set('tls-key-file', 'node.key')
    set('tls-ca-cert-file', '')
    refused(/^tls-ca-cert-file or tls-ca-cert-dir is needed/)
    set('tls-ca-cert-dir', 'none')
    refused(/^tls-ca-cert-dir '.*none': No such file or directory$/)
    set('tls-ca-cert-dir', '.')
    set('tls-protocols', 'SSLv3')
    refused(/^tls-protocols 'SSLv3'/)
  })
})
