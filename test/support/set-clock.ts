/** Preloaded into a server: at SIGUSR2 somebody sets the clock of its machine back by an hour. */
const HOUR_MS = 3_600_000
const now = Date.now
let aheadMs = 0
Date.now = () => now() + aheadMs
process.on('SIGUSR2', () => {
  aheadMs = -HOUR_MS
})
