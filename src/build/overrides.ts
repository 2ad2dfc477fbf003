import type { DestinationStream } from 'pino';
import type { PasswordStrength } from '../passwords/password-strength.ts';
import type { Clock } from '../platform/clock.ts';
import type { Limits } from '../rpc/limits.ts';
import type { Service } from '../rpc/services/service.ts';

/** Everything that a test, or a program that embeds the service, may replace. */
export type Overrides = {
  /** The time of everything that the service records, issues and judges; by default the database's. */
  clock?: Clock;
  /** What the clock of this machine says. */
  machineClock?: Clock;
  logDestination?: DestinationStream;
  /** Further services, behind the same interceptors. */
  services?: readonly Service[];
  limits?: Partial<Limits>;
  /** One that several services in a process share, which ends with the process. */
  strength?: PasswordStrength;
};
