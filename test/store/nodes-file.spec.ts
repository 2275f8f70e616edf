/** A small file replaced as a whole, and owned by one process. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lockFile } from '../../store/file-lock.ts'
import { openNodesFile } from '../../store/nodes-file.ts'

const MODULE = new URL('../../store/nodes-file.js', import.meta.url).href

describe('nodes.conf on disk', () => {
  let folder: string
  let path: string
  const children = new Set<ChildProcess>()

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rookery-nodes-'))
    path = join(folder, 'nodes.conf')
  })
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL')
    children.clear()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Another process that opens the file, runs `body`, says what came of it and stays. */
  async function another(body = '', launch: readonly string[] = [process.execPath]): Promise<[ChildProcess, string]> {
    const script = `import { openNodesFile } from ${JSON.stringify(MODULE)}
      try { const file = await openNodesFile(${JSON.stringify(path)}); ${body}; console.log('open') }
      catch (error) { console.log(error.message) }
      setInterval(() => {}, 1000)`
    const [program, ...args] = [...launch, '--input-type=module', '--eval', script]
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    children.add(child)
    const [said] = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])
    return [child, String(said).trim()]
  }

  const kill = async (child: ChildProcess): Promise<void> => {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  it('is read as it was written, and is nothing before', async () => {
    const file = await openNodesFile(path)
    assert.equal(file.read(), undefined)
    file.write('one\n', false)
    assert.equal(file.read(), 'one\n')
    assert.equal(readFileSync(path, 'utf8'), 'one\n')
    file.write('second, and shorter is no trouble', false)
    file.write('2', true)
    assert.equal(file.read(), '2')
    file.settle()
    assert.equal(readFileSync(path, 'utf8'), '2')
    file.write('three', false)
    await file.close()
    assert.equal(readFileSync(path, 'utf8'), 'three')
    assert.deepEqual(
      readdirSync(folder).filter((name) => !name.includes('.lock')),
      ['nodes.conf'],
    )
  })

  it('grows at its end, once it has a draft', async () => {
    const file = await openNodesFile(path)
    assert.equal(file.append('nothing to add to'), false)
    file.write('one\n', false)
    assert.equal(file.append('no draft yet'), false)
    file.write('two\n', false)
    assert.equal(file.append('and é\n'), true)
    assert.equal(file.append('more\n'), true)
    assert.equal(file.read(), 'two\nand é\nmore\n')
    assert.equal(readFileSync(path, 'utf8'), 'one\n')
    file.settle()
    assert.equal(readFileSync(path, 'utf8'), 'two\nand é\nmore\n')
    file.append('last\n')
    await file.close()
    assert.equal(readFileSync(path, 'utf8'), 'two\nand é\nmore\nlast\n')
  })

  it('keeps the old text when the disk is full', async function () {
    if (!existsSync('/dev/full')) this.skip()
    const file = await openNodesFile(path)
    file.write('first', true)
    symlinkSync('/dev/full', `${path}.draft-0`)
    file.write('precious', false)
    for (const fsync of [true, false]) assert.throws(() => file.write('new text', fsync), { code: 'ENOSPC' })
    // Odd turns go to the other draft.
    assert.equal(file.append(', and dear'), true)
    assert.equal(file.read(), 'precious, and dear')
    await assert.rejects(file.close(), { code: 'ENOSPC' })
    assert.equal(readFileSync(path, 'utf8'), 'precious, and dear')
  })

  it('keeps its last text when the file itself cannot be written, until it can', async () => {
    const file = await openNodesFile(path)
    file.write('first', true)
    mkdirSync(`${path}.tmp`)
    file.write('precious', true)
    assert.throws(() => file.settle(), { code: 'EISDIR' })
    assert.equal(file.read(), 'precious')
    rmdirSync(`${path}.tmp`)
    file.settle()
    assert.equal(readFileSync(path, 'utf8'), 'precious')
    await file.close()
  })

  it('leaves nothing behind when the new file cannot take its name', async () => {
    const file = await openNodesFile(path)
    file.write('first', true)
    file.write('second', true)
    rmSync(path)
    mkdirSync(path)
    assert.throws(() => file.settle())
    assert.equal(existsSync(`${path}.tmp`), false)
    rmdirSync(path)
    await file.close()
  })

  it('keeps the old text when the process dies in the middle of a write', async function () {
    if (process.platform === 'win32') this.skip()
    writeFileSync(path, 'precious')
    // The kernel kills with SIGXFSZ whoever writes past the limit; Node does not mind other files, they are pipes.
    const limited = ['/bin/sh', '-c', 'ulimit -f 8; exec "$0" "$@"', process.execPath]
    const [child, said] = await another("file.write('x'.repeat(1e6), false)", limited)
    assert.notEqual(said, 'open')
    await kill(child).catch(() => {})
    const file = await openNodesFile(path)
    assert.equal(file.read(), 'precious')
    file.write('next', true)
    assert.equal(file.read(), 'next')
    await file.close()
  })

  it('is the last text that was written, whenever the process dies', async function () {
    if (process.platform === 'win32') this.skip()
    const writes = [
      "file.write('promised', true)",
      "file.write('second', false)",
      "file.append(' half')",
      "file.write('third', false)",
    ]
    for (const [i, expected] of ['promised', 'second', 'second half', 'third'].entries()) {
      const [child] = await another(writes.slice(0, i + 1).join(';'))
      await kill(child)
      const file = await openNodesFile(path)
      assert.equal(file.read(), expected)
      assert.equal(readFileSync(path, 'utf8'), expected)
      await file.close()
    }
  })

  describe('that its owner left behind', () => {
    let left: string

    /** What is on disk after these texts; a blank stands for `settle`, and what begins with a plus sign is added. */
    async function leave(...texts: readonly string[]): Promise<void> {
      const file = await openNodesFile(path)
      for (const text of texts) {
        if (text === ' ') file.settle()
        else if (text.startsWith('+')) assert.ok(file.append(text))
        else file.write(text, false)
      }
      left = join(folder, 'left')
      mkdirSync(left)
      for (const name of readdirSync(folder))
        if (/^nodes\.conf(\.draft-.)?$/.test(name)) copyFileSync(join(folder, name), join(left, name))
      await file.close()
      rmSync(path)
    }

    /** What the next owner reads. */
    async function found(): Promise<string | undefined> {
      const file = await openNodesFile(join(left, 'nodes.conf'))
      const text = file.read()
      assert.equal(readFileSync(join(left, 'nodes.conf'), 'utf8'), text)
      assert.ok(readdirSync(left).every((name) => !name.includes('.draft-')))
      await file.close()
      rmSync(left, { recursive: true })
      return text
    }

    it('is the draft before when the last one was cut short', async () => {
      for (const [i, expected] of ['one', 'two'].entries()) {
        await leave(...['one', 'two', 'three'].slice(0, i + 2))
        const last = readdirSync(left)
          .map((name) => join(left, name))
          .find((name) => readFileSync(name, 'utf8').endsWith(i === 0 ? 'two' : 'three'))!
        truncateSync(last, statSync(last).size - 1)
        assert.equal(await found(), expected)
      }
    })

    it('is not what a longer draft left over', async () => {
      await leave('one', 'the longest of them', 'longer than the last', '2', '3')
      assert.equal(await found(), '3')
    })

    it('has what was added, as far as it is whole, and not what was added to a draft before', async () => {
      for (const [texts, missing, expected] of [
        [['one', 'two', '+a', '+b'], 0, 'two+a+b'],
        [['one', 'two', '+a', '+b'], 1, 'two+a'],
        [['one', 'two', '+a', 'four', 'two'], 0, 'two'],
        [['one', 'two', '+a', 'four', 'two', '+c'], 0, 'two+c'],
        [['one', 'two', '+a', ' ', '+c'], 0, 'two+a+c'],
        [['one', 'two', '+a', '+b', 'four'], 0, 'four'],
      ] as const) {
        await leave(...texts)
        const last = readdirSync(left)
          .map((name) => join(left, name))
          .find((name) => missing > 0 && readFileSync(name, 'latin1').includes('+b'))
        if (last !== undefined) truncateSync(last, statSync(last).size - missing)
        assert.equal(await found(), expected, texts.join())
      }
    })

    it('is what somebody else made of it since', async () => {
      await leave('one', 'two', ' ', 'three')
      writeFileSync(join(left, 'nodes.conf'), 'edited')
      assert.equal(await found(), 'edited')
    })

    it('is the last text, even if it had been the same before', async () => {
      const steps = ['one', 'two', ' ', 'one', ' ', 'two', 'two', ' ', 'one', ' ']
      for (let count = 1; count <= steps.length; count++) {
        await leave(...steps.slice(0, count))
        assert.equal(
          await found(),
          steps.slice(0, count).findLast((text) => text !== ' '),
        )
      }
    })
  })

  it('stays behind a symbolic link', async () => {
    const real = join(folder, 'real.conf')
    writeFileSync(real, 'old')
    symlinkSync(real, path)
    const file = await openNodesFile(path)
    file.write('new', true)
    file.settle()
    assert.equal(readFileSync(real, 'utf8'), 'new')
    assert.ok(lstatSync(path).isSymbolicLink())
    await file.close()
  })

  it('is refused to a second owner, in this process and in another one', async () => {
    const file = await openNodesFile(path)
    const refusal =
      `Sorry, the cluster configuration file ${path} is already used by a different Redis Cluster node. ` +
      'Please make sure that different nodes use different cluster configuration files.'
    await assert.rejects(openNodesFile(path), { message: refusal })
    assert.equal((await another())[1], refusal)
    await file.close()
    await (await openNodesFile(path)).close()
  })

  it('belongs to a stopped process, and to nobody once that is killed', async function () {
    if (process.platform === 'win32') this.skip()
    const [owner, said] = await another()
    assert.equal(said, 'open')
    owner.kill('SIGSTOP')
    await assert.rejects(openNodesFile(path), /already used/)
    await kill(owner)
    const file = await openNodesFile(path)
    await file.close()
    assert.deepEqual(readdirSync(folder), process.platform === 'linux' ? [] : ['nodes.conf.lock'])
  })

  it('has at most one owner however many start at once', async () => {
    for (let round = 0; round < 20; round++) {
      const starts = await Promise.allSettled([1, 2, 3, 4].map(() => openNodesFile(path)))
      const owners = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
      assert.ok(owners.length <= 1, `${owners.length} owners`)
      for (const owner of owners) await owner.close()
    }
  })

  it('can lie deeper than an address of a socket can say', async () => {
    path = join(folder, 'x'.repeat(120), 'nodes.conf')
    mkdirSync(join(folder, 'x'.repeat(120)))
    const file = await openNodesFile(path)
    await assert.rejects(openNodesFile(path), /already used/)
    await file.close()
  })

  it('is locked elsewhere when its file system knows no sockets', async function () {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) this.skip()
    const place = `/sys/rookery-${process.pid}.conf`
    const lock = await lockFile(place)
    assert.ok(lock)
    assert.equal(await lockFile(place), undefined)
    await lock.release()
  })

  it('says what is wrong with a folder that is not there', async () => {
    await assert.rejects(openNodesFile(join(folder, 'none', 'nodes.conf')), { code: 'ENOENT' })
  })
})
