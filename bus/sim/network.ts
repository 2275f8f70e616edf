/** The network between simulated nodes: connections with delay that keep their order, hosts that are down, and cuts that
 *  swallow what is sent. A connection that lost something is reset when the cut heals, as a stalled one would be. */
import type { Random } from '../../lib/base/random.ts'
import type { Event } from '../event.ts'
import type { Message } from '../message.ts'
import type { LinkId } from '../state.ts'
import type { Schedule } from './schedule.ts'

/** A machine with one node on it, as the network sees it. */
export interface Host {
  readonly ip: string
  readonly alive: boolean
  /** Names a connection that comes in. */
  allocateLinkId(): LinkId
  /** Tells the node what happened to its connections. */
  deliver(event: Event): void
}

/** How long anything is under way, drawn anew for each message. */
export interface Delay {
  readonly minMs: number
  readonly maxMs: number
}

export interface Network {
  readonly schedule: Schedule
  readonly random: Random
  readonly delay: Delay
  readonly hosts: Host[]
  /** The open ends of each host. */
  readonly ends: Map<Host, Map<LinkId, End>>
  /** What a host sends no longer reaches these. */
  readonly cuts: Map<Host, Set<Host>>
}

/** One end of a connection. */
interface End {
  readonly host: Host
  readonly link: LinkId
  /** Undefined while a dial is under way, or for good when nobody answered. */
  peer: End | undefined
  /** Something sent here was lost: the connection will not recover. */
  torn: boolean
  /** When the last message under way arrives: a later one may not overtake it. */
  arrivesAt: number
}

export function createNetwork(schedule: Schedule, random: Random, delay: Delay): Network {
  return { schedule, random, delay, hosts: [], ends: new Map(), cuts: new Map() }
}

/** Opens a connection; the host hears `link-up` or `link-down`, or nothing when a cut swallows the attempt. */
export function dial(network: Network, from: Host, link: LinkId, ip: string): void {
  const end = openEnd(network, from, link)
  const to = network.hosts.find((host) => host.ip === ip)
  later(network, () => {
    if (!isOpen(network, end)) return
    if (to && isCut(network, from, to)) end.torn = true
    else if (to?.alive) accept(network, end, to)
    else later(network, () => close(network, end))
  })
}

/** Sends on an open connection; lost without a word when there is none, or when a cut is in the way. */
export function send(network: Network, from: Host, link: LinkId, message: Message): void {
  const near = network.ends.get(from)?.get(link)
  const far = near?.peer
  if (!near || !far) return
  near.arrivesAt = Math.max(near.arrivesAt, network.schedule.now + latency(network))
  network.schedule.after(near.arrivesAt - network.schedule.now, () => {
    if (near.torn || isCut(network, from, far.host)) near.torn = true
    else if (isOpen(network, far)) far.host.deliver({ type: 'message', link: far.link, message })
  })
}

/** Closes a connection from one side; the other hears of it a little later. */
export function drop(network: Network, from: Host, link: LinkId): void {
  const near = network.ends.get(from)?.get(link)
  if (!near) return
  network.ends.get(from)?.delete(link)
  const far = near.peer
  if (far) later(network, () => (isCut(network, from, far.host) ? tear(far) : close(network, far)))
}

/** From now on nothing `from` sends reaches `to`. */
export function cut(network: Network, from: Host, to: Host): void {
  const those = network.cuts.get(from) ?? new Set()
  network.cuts.set(from, those.add(to))
}

/** Ends every cut. Connections that lost something are reset: both ends hear of it. */
export function heal(network: Network): void {
  network.cuts.clear()
  const torn = [...network.ends.values()].flatMap((ends) => [...ends.values()]).filter((end) => end.torn)
  for (const end of torn) {
    close(network, end)
    if (end.peer) close(network, end.peer)
  }
}

/** Whether something sent now would arrive. */
export const canReach = (network: Network, from: Host, to: Host): boolean => to.alive && !isCut(network, from, to)

/** Ends all connections of a host that went down: the peers' systems notice. */
export function hangUp(network: Network, host: Host): void {
  for (const link of [...(network.ends.get(host)?.keys() ?? [])]) drop(network, host, link)
}

function accept(network: Network, dialler: End, host: Host): void {
  const listener = openEnd(network, host, host.allocateLinkId())
  listener.peer = dialler
  dialler.peer = listener
  host.deliver({ type: 'accepted', link: listener.link, remoteIp: dialler.host.ip, localIp: host.ip })
  later(network, () => {
    if (isCut(network, host, dialler.host)) dialler.torn = true
    else if (isOpen(network, dialler)) dialler.host.deliver({ type: 'link-up', link: dialler.link })
  })
}

function openEnd(network: Network, host: Host, link: LinkId): End {
  const end: End = { host, link, peer: undefined, torn: false, arrivesAt: 0 }
  const ends = network.ends.get(host) ?? new Map<LinkId, End>()
  network.ends.set(host, ends.set(link, end))
  return end
}

const isOpen = (network: Network, end: End): boolean => network.ends.get(end.host)?.get(end.link) === end

/** Closes an end that was not asked. */
function close(network: Network, end: End): void {
  if (!isOpen(network, end)) return
  network.ends.get(end.host)?.delete(end.link)
  if (end.host.alive) end.host.deliver({ type: 'link-down', link: end.link })
}

function tear(end: End): void {
  end.torn = true
}

const isCut = (network: Network, from: Host, to: Host): boolean => network.cuts.get(from)?.has(to) ?? false

const latency = ({ delay, random }: Network): number => delay.minMs + random.float() * (delay.maxMs - delay.minMs)

function later(network: Network, run: () => void): void {
  network.schedule.after(latency(network), run)
}
