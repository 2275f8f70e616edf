/** A client in one line, as CLIENT LIST, CLIENT INFO and the log show it. */
import { limitClass } from './output-limits.ts'
import type { Client } from './client.ts'
import type { Server } from './server.ts'
