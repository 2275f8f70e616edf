/** A lock on a file name that lives exactly as long as its process, on every system Node runs on.
 *
 *  Node has no flock. A file with a process id in it will not do: ids are used again, mean nothing in another container,
 *  and after a kill nobody knows whether the file still counts. So the kernel has to remember the owner:
 *
 *  - macOS and Windows can lock while opening a file (O_EXLOCK; on Windows libuv opens without sharing). That is all.
 *  - Linux has no such flag, but it knows who listens on a Unix socket. Each contender listens on a socket of its own beside
 *    the file, under a name that is never used twice, and then knocks at all the others it finds there. If one answers (the
 *    kernel answers for it, even while the process is stopped), the file is taken. Sockets of dead processes refuse the
 *    connection; the winner removes them. Sockets in a folder are seen by every container that mounts it.
 *
 *  Why two contenders cannot both win: both listen before they look around, so whoever looks later sees the other. Only a
 *  winner removes a socket, and only one that refused its knock; if that was a contender between bind and listen, then the
 *  winner was listening before it and answers when the contender knocks. The last look at one's own socket covers a winner
 *  that died in between. Two that start in the same instant may both lose, which is safe: one is started again. */
import { createHash, randomUUID } from 'node:crypto'
import { closeSync, constants, existsSync, openSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

export interface FileLock {
  release(): Promise<void>
}

/** Locks the name `path` (the file itself need not exist). Undefined when another process, or this one, holds the lock.
 *  Throws when the folder does not allow it. */
export function lockFile(path: string): Promise<FileLock | undefined> {
  return process.platform === 'linux' ? lockBySocket(path) : lockByOpening(path)
}

/** O_EXLOCK of macOS and the BSDs, and libuv's UV_FS_O_EXLOCK on Windows; Node has no names for them. */
const EXCLUSIVE = process.platform === 'win32' ? 0x10000000 : 0x20

async function lockByOpening(path: string): Promise<FileLock | undefined> {
  const nonBlocking = constants.O_NONBLOCK ?? 0
  let file: number
  try {
    file = openSync(`${path}.lock`, constants.O_RDWR | constants.O_CREAT | nonBlocking | EXCLUSIVE, 0o644)
  } catch (failure) {
    if (['EAGAIN', 'EWOULDBLOCK', 'EBUSY'].includes((failure as NodeJS.ErrnoException).code ?? '')) return undefined
    throw failure
  }
  return { release: async () => closeSync(file) }
}

/** What systems answer when a file system has no sockets (FAT, some shares of virtual machines). */
const NO_SOCKETS_HERE: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EPERM', 'EINVAL'])

/** Beside the file; where that cannot be, in the folder for temporary files, which only processes that share it see. */
async function lockBySocket(path: string): Promise<FileLock | undefined> {
  try {
    return await contend(dirname(path), `${basename(path)}.lock-`)
  } catch (failure) {
    if (!NO_SOCKETS_HERE.has((failure as NodeJS.ErrnoException).code ?? '')) throw failure
    return contend(tmpdir(), `rookery-${createHash('sha256').update(path).digest('hex').slice(0, 32)}.lock-`)
  }
}

/** Wins when no other socket in `folder` whose name begins with `prefix` is alive. */
async function contend(folder: string, prefix: string): Promise<FileLock | undefined> {
  const own = prefix + randomUUID()
  // The address of a socket has room for 107 bytes only: the folder goes by its descriptor.
  const handle = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  const address = (name: string): string => `/proc/self/fd/${handle}/${name}`
  let server: Server
  try {
    server = await listen(address(own))
  } catch (failure) {
    closeSync(handle)
    // The folder is there, so it is the socket that went: somebody who won meanwhile took it for a dead one.
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw failure
  }
  const release = async (): Promise<void> => {
    await new Promise((done) => server.close(done))
    closeSync(handle)
  }
  const others = readdirSync(folder).filter((name) => name.startsWith(prefix) && name !== own)
  const answers = await Promise.all(others.map((name) => answersKnock(address(name))))
  if (answers.includes(true) || !existsSync(join(folder, own))) {
    await release()
    return undefined
  }
  for (const name of others) rmSync(join(folder, name), { force: true })
  return { release }
}

/** Listens without keeping the process alive. Everybody may knock: the next owner may be another user. */
function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((knock) => knock.destroy())
    server.once('error', reject)
    server.listen({ path, readableAll: true, writableAll: true }, () => resolve(server.unref()))
  })
}

/** Whether a process listens there. Anything but a clear "nobody" counts as yes: better no start than two owners. */
function answersKnock(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const knock = connect(path)
    knock.once('connect', () => {
      knock.destroy()
      resolve(true)
    })
    knock.once('error', (failure: NodeJS.ErrnoException) =>
      resolve(failure.code !== 'ECONNREFUSED' && failure.code !== 'ENOENT'),
    )
  })
}
