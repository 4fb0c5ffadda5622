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
      if (!ipaddr.isValid(text)) return false;
      const address = ipaddr.parse(text);
      if (isAllowedNetwork(address)) return true;
      const inner = embeddedIPv4(address);
      if (inner !== null) return isAllowedNetwork(inner);
      return address.range() === 'unicast' && !isLinkLocalOrMetadata(address);
    },
  };
}

function parseNetwork(text: string): [Address, number] {
  if (text.includes('/')) return ipaddr.parseCIDR(text);
  const address = ipaddr.parse(text);
  return [address, address.toByteArray().length * 8];
}

function isLinkLocalOrMetadata(address: Address): boolean {
  return address.range() === 'linkLocal' || METADATA_ADDRESSES.some((known) => known.toString() === address.toString());
}

function embeddedIPv4(address: Address): Address | null {
  if (address.kind() !== 'ipv6') return null;
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
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw invalid('url', 'it is not a URL');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalid('url', `its scheme is "${url.protocol.slice(0, -1)}"; only http and https are allowed`);
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid('url', 'it contains credentials; give them as a header instead (--header)');
  }
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

/** The URL's host where it is an IP address, without the brackets of IPv6; null where it is a name that DNS must resolve. */
export function addressLiteral(url: URL): string | null {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (host === 'localhost' || host.endsWith('.localhost')) return '127.0.0.1'; // RFC 6761: never anything else
  return ipaddr.isValid(host) ? host : null;
}
