/** The process that keeps every link of a campaign, so that nobody else's lag is felt on the wire. */
import type { LinkAnswer, LinkCommand } from './fault.ts';
import { serveHttpFaults } from './http-faults.ts';
import { type Link, openLink } from './link.ts';

const links = new Map<string, Link>();

process.on('disconnect', () => process.exit(0));
process.on('message', (message) => {
  const { id, command } = asCommand(message);
  void obey(command).then((port) => process.send?.({ id, port } satisfies LinkAnswer));
});

async function obey(command: LinkCommand): Promise<number | null> {
  if (command.kind === 'open') {
    const link = command.http ? await openHttpLink(command.targets) : await openLink(command.targets);
    links.set(command.link, link);
    return link.port;
  }
  links.get(command.link)?.setFault(command.fault);
  return null;
}

/** Faults of the wire come first, those of the store behind them. */
async function openHttpLink(targets: readonly number[]): Promise<Link> {
  let link: Link | null = null;
  const port = await serveHttpFaults(targets[0] ?? 0, () => link?.fault() ?? null);
  link = await openLink([port]);
  return link;
}

/** Only the harness has the channel. */
function asCommand(message: unknown): { readonly id: number; readonly command: LinkCommand } {
  return message as { readonly id: number; readonly command: LinkCommand };
}
