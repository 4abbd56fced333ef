/** In the place of the service's own: a Temporal client that takes a cancel and tells nobody. */
import { Client as RealClient } from '@temporalio/client';
import { SIGNALS } from '../../../src/model/workflow-contract.ts';
import { isPlanted } from './fault.ts';

export * from '@temporalio/client';

export class Client extends RealClient {
  constructor(...given: ConstructorParameters<typeof RealClient>) {
    super(...given);
    if (!isPlanted('swallowed-cancel')) return;
    const { workflow } = this;
    const getHandle = workflow.getHandle.bind(workflow);
    Object.assign(workflow, {
      getHandle: (...named: Parameters<typeof getHandle>) => {
        const handle = getHandle(...named);
        const signal = handle.signal.bind(handle);
        const swallow = async (name: unknown, ...args: unknown[]) => {
          if (name !== SIGNALS.cancel) await (signal as (...all: unknown[]) => Promise<void>)(name, ...args);
        };
        return Object.assign(handle, { signal: swallow });
      },
    });
  }
}
