/** The network between simulated nodes: connections with delay that keep their order, hosts that are down, and cuts that
 *  swallow what is sent. What travels are the frames of the real codec. A connection that lost something is reset when the
 *  cut heals, as a stalled one would be. */
import { assert } from '../../lib/base/assert.ts'
import type { Random } from '../../lib/base/random.ts'
import { decode, isRefusal } from '../codec.ts'
import type { Event } from '../event.ts'
import type { Message } from '../message.ts'
import type { LinkId } from '../state.ts'
import type { Schedule } from './schedule.ts'

/** A machine with one node on it, as the network sees it. */
export interface Host {
  readonly index: number
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
  readonly hostsByIp: Map<string, Host>
  /** The open ends of each host, by the index of the host. */
  readonly ends: Map<LinkId, End>[]
  /** By way (`from` and `to` in one number): how many cuts swallow what is sent on it, and what slows it down. */
  readonly cuts: Map<number, number>
  readonly extraMs: Map<number, number>
  /** By way: when it was last made better or worse. */
  readonly changedAt: Map<number, number>
}

/** One message on its way to one or many hosts: encoded once, decoded once. */
export interface Frame {
  readonly bytes: Buffer
  message: Message | undefined
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
  const byWay = { cuts: new Map(), extraMs: new Map(), changedAt: new Map() }
  return { schedule, random, delay, hosts: [], hostsByIp: new Map(), ends: [], ...byWay }
}

/** Adds a machine; its index is the next one. */
export function addHost(network: Network, host: Host): void {
  assert(host.index === network.hosts.length, 'hosts are numbered in the order they come')
  network.hosts.push(host)
  network.hostsByIp.set(host.ip, host)
  network.ends.push(new Map())
}

/** Opens a connection; the host hears `link-up` or `link-down`, or nothing when a cut swallows the attempt. */
export function dial(network: Network, from: Host, link: LinkId, ip: string): void {
  const end = openEnd(network, from, link)
  const to = network.hostsByIp.get(ip)
  later(network, from, to, () => {
    if (!isOpen(network, end)) return
    if (to && isCut(network, from, to)) end.torn = true
    else if (to?.alive) accept(network, end, to)
    else later(network, from, to, () => close(network, end))
  })
}

/** Sends on an open connection; lost without a word when there is none, or when a cut is in the way. */
export function send(network: Network, from: Host, link: LinkId, frame: Frame): void {
  const near = network.ends[from.index]!.get(link)
  const far = near?.peer
  if (!near || !far) return
  near.arrivesAt = Math.max(near.arrivesAt, network.schedule.now + latency(network, from, far.host))
  network.schedule.after(near.arrivesAt - network.schedule.now, () => {
    if (near.torn || isCut(network, from, far.host)) near.torn = true
    else if (isOpen(network, far)) far.host.deliver({ type: 'message', link: far.link, message: open(frame) })
  })
}

/** Closes a connection from one side; the other hears of it a little later. */
export function drop(network: Network, from: Host, link: LinkId): void {
  const ends = network.ends[from.index]!
  const near = ends.get(link)
  if (!near) return
  ends.delete(link)
  const far = near.peer
  if (!far) return
  later(network, from, far.host, () => {
    if (isCut(network, from, far.host)) far.torn = true
    else close(network, far)
  })
}

/** From now on nothing `from` sends reaches `to`. */
export function cut(network: Network, from: Host, to: Host): void {
  const way = wayOf(from, to)
  network.cuts.set(way, (network.cuts.get(way) ?? 0) + 1)
  network.changedAt.set(way, network.schedule.now)
}

/** Ends one cut. With the last one, connections that lost something are reset: both ends hear of it. */
export function mend(network: Network, from: Host, to: Host): void {
  const way = wayOf(from, to)
  const left = (network.cuts.get(way) ?? 0) - 1
  if (left > 0) network.cuts.set(way, left)
  if (left !== 0) return
  network.cuts.delete(way)
  network.changedAt.set(way, network.schedule.now)
  resetTorn(network)
}

/** Ends every cut and every delay. */
export function heal(network: Network): void {
  for (const way of [...network.cuts.keys(), ...network.extraMs.keys()]) {
    network.changedAt.set(way, network.schedule.now)
  }
  network.cuts.clear()
  network.extraMs.clear()
  resetTorn(network)
}

/** Adds so much to the time everything takes on this way; order within a connection is kept. Ends with another 0. */
export function slowDown(network: Network, from: Host, to: Host, extraMs: number): void {
  const way = wayOf(from, to)
  if (extraMs > 0) network.extraMs.set(way, extraMs)
  else network.extraMs.delete(way)
  network.changedAt.set(way, network.schedule.now)
}

/** Breaks every connection between two hosts; both hear of it. */
export function breakLinks(network: Network, one: Host, other: Host): void {
  for (const end of [...network.ends[one.index]!.values()]) {
    if (end.peer?.host !== other) continue
    const far = end.peer
    close(network, end)
    close(network, far)
  }
}

/** Whether something sent now would arrive. */
export const canReach = (network: Network, from: Host, to: Host): boolean => to.alive && !isCut(network, from, to)

/** Since when whatever is sent either way arrives without more than the usual delay; undefined when it does not. */
export function quietSince(network: Network, one: Host, other: Host): number | undefined {
  const ways = [wayOf(one, other), wayOf(other, one)]
  if (ways.some((way) => network.cuts.has(way) || network.extraMs.has(way))) return undefined
  return Math.max(...ways.map((way) => network.changedAt.get(way) ?? 0))
}

/** Ends all connections of a host that went down: the peers' systems notice. */
export function hangUp(network: Network, host: Host): void {
  for (const link of [...network.ends[host.index]!.keys()]) drop(network, host, link)
}

/** A connection that is there already, by the names both ends have for it. */
export function join(network: Network, from: Host, link: LinkId, to: Host, accepted: LinkId): void {
  couple(openEnd(network, from, link), openEnd(network, to, accepted))
}

function accept(network: Network, dialler: End, host: Host): void {
  const listener = openEnd(network, host, host.allocateLinkId())
  couple(dialler, listener)
  host.deliver({ type: 'accepted', link: listener.link, remoteIp: dialler.host.ip, localIp: host.ip })
  later(network, host, dialler.host, () => {
    if (isCut(network, host, dialler.host)) dialler.torn = true
    else if (isOpen(network, dialler)) dialler.host.deliver({ type: 'link-up', link: dialler.link })
  })
}

function couple(one: End, other: End): void {
  one.peer = other
  other.peer = one
}

function openEnd(network: Network, host: Host, link: LinkId): End {
  const end: End = { host, link, peer: undefined, torn: false, arrivesAt: 0 }
  network.ends[host.index]!.set(link, end)
  return end
}

const isOpen = (network: Network, end: End): boolean => network.ends[end.host.index]!.get(end.link) === end

/** Closes an end that was not asked. */
function close(network: Network, end: End): void {
  if (!isOpen(network, end)) return
  network.ends[end.host.index]!.delete(end.link)
  if (end.host.alive) end.host.deliver({ type: 'link-down', link: end.link })
}

function resetTorn(network: Network): void {
  const torn = network.ends.flatMap((ends) => [...ends.values()]).filter((end) => end.torn)
  for (const end of torn) {
    if (end.peer && (isCut(network, end.host, end.peer.host) || isCut(network, end.peer.host, end.host))) continue
    close(network, end)
    if (end.peer) close(network, end.peer)
  }
}

function open(frame: Frame): Message {
  if (frame.message) return frame.message
  const decoded = decode(frame.bytes)
  assert(!isRefusal(decoded), `a frame of ours is refused: ${'refused' in decoded ? decoded.refused : ''}`)
  frame.message = decoded
  return decoded
}

/** More hosts than this make no world. */
const MAX_HOSTS = 4096

const wayOf = (from: Host, to: Host): number => from.index * MAX_HOSTS + to.index

const isCut = (network: Network, from: Host, to: Host): boolean =>
  network.cuts.size > 0 && network.cuts.has(wayOf(from, to))

function latency({ delay, random, extraMs }: Network, from: Host, to: Host | undefined): number {
  const usual = delay.minMs + random.float() * (delay.maxMs - delay.minMs)
  return extraMs.size > 0 && to ? usual + (extraMs.get(wayOf(from, to)) ?? 0) : usual
}

function later(network: Network, from: Host, to: Host | undefined, run: () => void): void {
  network.schedule.after(latency(network, from, to), run)
}
