import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescEnum,
  type DescEnumValue,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

export const PACKAGE = 'countersign.v1';

type Described = DescService | DescMethod | DescMessage | DescField | DescEnum | DescEnumValue;

/** The contract as it was compiled, with its comments. */
export class Contract {
  readonly services: readonly DescService[];
  readonly #enums: ReadonlyMap<string, DescEnum>;
  readonly #comments = new Map<Described, string>();

  constructor(path: URL) {
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(path)));
    const files = [...registry.files].filter(({ proto }) => proto.package === PACKAGE);
    this.services = files.flatMap(({ services }) => services);
    this.#enums = new Map(files.flatMap(({ enums }) => enums.map((each) => [each.name, each])));
    for (const file of files) this.#read(file);
  }

  enumOf(name: string): DescEnum {
    const found = this.#enums.get(name);
    if (!found) throw new Error(`${PACKAGE} has no enum ${name}`);
    return found;
  }

  /** The comment of something: a line for each paragraph, with empty lines between. */
  prose(desc: Described): string {
    const text = this.#comments.get(desc);
    if (!text) throw new Error(`${desc} has no comment`);
    return text;
  }

  /**
   * What was written at each place: a place is a path of field numbers and positions, see
   * google.protobuf.SourceCodeInfo.
   */
  #read(file: DescFile): void {
    const texts = new Map(
      file.proto.sourceCodeInfo?.location.map(({ path, leadingComments }) => [
        path.join('.'),
        paragraphs(leadingComments),
      ]),
    );
    const note = (desc: Described, path: string) => {
      this.#comments.set(desc, texts.get(path) ?? '');
    };
    const noteEnum = (desc: DescEnum, path: string) => {
      note(desc, path);
      each(desc.values, `${path}.2`, note);
    };
    const noteMessage = (desc: DescMessage, path: string) => {
      note(desc, path);
      each(desc.fields, `${path}.2`, note);
      each(desc.nestedMessages, `${path}.3`, noteMessage);
      each(desc.nestedEnums, `${path}.4`, noteEnum);
    };
    each(file.messages, '4', noteMessage);
    each(file.enums, '5', noteEnum);
    each(file.services, '6', (service, path) => {
      note(service, path);
      each(service.methods, `${path}.2`, note);
    });
  }
}

function each<T>(items: readonly T[], path: string, work: (item: T, path: string) => void): void {
  for (const [at, item] of items.entries()) work(item, `${path}.${at}`);
}

function paragraphs(comment: string): string {
  return comment
    .split(/\n[ \t]*\n/)
    .map((paragraph) =>
      paragraph
        .split('\n')
        .map((line) => line.trim())
        .join(' ')
        .trim(),
    )
    .filter((paragraph) => paragraph !== '')
    .join('\n\n');
}

/** The same text with the fields of messages, and of those in them, called as JSON calls them. */
export function asInJson(text: string, ...messages: readonly DescMessage[]): string {
  const held = messages.flatMap(({ fields }) => fields.flatMap(({ message }) => message ?? []));
  const fields = [...held, ...messages].flatMap((message) => message.fields);
  const names = new Map(fields.map(({ name, jsonName }) => [name, jsonName]));
  return text.replace(/`(\w+)`/g, (quoted, name) => {
    const known = names.get(name);
    return known === undefined ? quoted : `\`${known}\``;
  });
}

/** A text up to its first full stop or colon. */
export function beginning(text: string): string {
  return /^[\s\S]*?(?=[.:](?:\s|$))/.exec(text)?.[0] ?? text;
}
