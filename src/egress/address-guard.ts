import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { invalid } from '../domain/refusal.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Decides which addresses may be dialled. By default only public unicast ones. */
export interface AddressGuard {
  /** @param address an IP address as text; anything else is refused */
  allows(address: string): boolean;
}

// Cloud metadata services that live outside link-local space; link-local itself (169.254/16, fe80::/10) is a range of its own.
const METADATA_ADDRESSES = ['100.100.100.200', '192.0.0.192', '168.63.129.16', 'fd00:ec2::254', 'fd20:ce::254'].map(
  (text) => ipaddr.parse(text),
);

// The only part of IPv6 that is given out for public use (IANA); what lies beside it is refused even where it has no name.
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

// IPv6 forms that carry an IPv4 address, which is where the packets end up. No honest DNS answer has them, so they are
// refused, unless the address inside is one that was opened.
const EMBEDDINGS: { network: string; firstByte: number }[] = [
  { network: '::ffff:0:0/96', firstByte: 12 }, // IPv4-mapped
  { network: '::/96', firstByte: 12 }, // IPv4-compatible (deprecated)
  { network: '::ffff:0:0:0/96', firstByte: 12 }, // SIIT, RFC 2765
  { network: '64:ff9b::/96', firstByte: 12 }, // NAT64, RFC 6052
  { network: '2002::/16', firstByte: 2 }, // 6to4, RFC 3056
];

/**
 * @param allowedNetworks CIDRs, or single addresses, that are open although not public. A wide network does not open
 * link-local or metadata addresses inside it: those must be named exactly, as a single address.
 */
export function createAddressGuard(allowedNetworks: readonly string[]): AddressGuard {
  const networks = allowedNetworks.map(parseNetwork);
  const isAllowedNetwork = (address: Address): boolean =>
    networks.some(([network, bits]) => {
      if (network.kind() !== address.kind()) return false;
      const exact = bits === network.toByteArray().length * 8;
      return (exact || !isLinkLocalOrMetadata(address)) && address.match(network, bits);
    });

  return {
    allows(text) {
      // ipaddr.js alone would take `1.2.3` and other short forms for addresses.
      if (isIP(text) === 0 || !ipaddr.isValid(text)) return false;
      const address = ipaddr.parse(text);
      if (isAllowedNetwork(address)) return true;
      const inner = embeddedIPv4(address);
      if (inner !== null) return isAllowedNetwork(inner);
      return isPublicUnicast(address) && !isLinkLocalOrMetadata(address);
    },
  };
}

function parseNetwork(text: string): [Address, number] {
  if (text.includes('/')) return ipaddr.parseCIDR(text);
  const address = ipaddr.parse(text);
  return [address, address.toByteArray().length * 8];
}

function isPublicUnicast(address: Address): boolean {
  return address.range() === 'unicast' && (address.kind() === 'ipv4' || address.match(GLOBAL_UNICAST));
}

/** Also where the address hides in one of the IPv6 forms: a wide IPv6 network must not open what it would not open in IPv4. */
function isLinkLocalOrMetadata(address: Address): boolean {
  const plain = embeddedIPv4(address) ?? address;
  const bytes = plain.toByteArray().join();
  return plain.range() === 'linkLocal' || METADATA_ADDRESSES.some((known) => known.toByteArray().join() === bytes);
}

function embeddedIPv4(address: Address): Address | null {
  // `::` and `::1` lie among the IPv4-compatible addresses, but are none.
  if (address.kind() !== 'ipv6' || address.range() === 'unspecified' || address.range() === 'loopback') return null;
  for (const { network, firstByte } of EMBEDDINGS) {
    if (address.match(ipaddr.IPv6.parseCIDR(network))) {
      return ipaddr.fromByteArray(address.toByteArray().slice(firstByte, firstByte + 4));
    }
  }
  return null;
}

/**
 * Checks the URL of a subscription by what can be known without dialling.
 * @returns the URL in its normal form
 * @throws Refusal that names the rule
 */
export function checkTargetUrl(text: string, guard: AddressGuard): string {
  const problem = urlProblem(text);
  if (problem !== null) throw invalid('url', problem);
  const url = new URL(text);
  const literal = addressLiteral(url);
  if (literal !== null && !guard.allows(literal)) {
    throw invalid(
      'url',
      `address not allowed: ${literal} is not a public address (DELIVERY_ALLOWED_NETWORKS can open networks)`,
    );
  }
  url.hash = '';
  return url.href;
}

/** What is wrong with the form of a URL, without repeating any part of it that may be secret; null where nothing is. */
export function urlProblem(text: string): string | null {
  if (!URL.canParse(text)) return 'it is not a URL';
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') {
    return `its scheme is "${protocol.slice(0, -1)}"; only http and https are allowed`;
  }
  if (username !== '' || password !== '') return 'it contains credentials; give them as a header instead (--header)';
  return null;
}

/** The URL's host where it is an IP address, without the brackets of IPv6; null where it is a name that DNS must resolve. */
export function addressLiteral(url: URL): string | null {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (host === 'localhost' || host.endsWith('.localhost')) return '127.0.0.1'; // RFC 6761: never anything else
  return ipaddr.isValid(host) ? host : null;
}
