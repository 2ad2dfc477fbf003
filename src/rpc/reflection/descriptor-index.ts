import { type DescEnum, type DescFile, type DescMessage, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { commentedFiles } from './commented-files.ts';

/** Finds files of descriptors, with all that they import, by what they declare. */
export class DescriptorIndex {
  /** The full names of their services. */
  readonly services: string[] = [];
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  /** By the message that is extended, and the number of the field. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();
  #commented: ReadonlyMap<string, Uint8Array> | undefined;
  readonly #encoded = new Map<DescFile, Uint8Array>();

  constructor(files: readonly DescFile[]) {
    for (const file of files) this.#add(file);
  }

  /** Returns the encoded file with this name, and those that it imports. */
  byName(name: string): Uint8Array[] | undefined {
    return this.#withImports(this.#files.get(name));
  }

  /** The same for the file that declares a service, method, type, field or value by its full name. */
  bySymbol(symbol: string): Uint8Array[] | undefined {
    return this.#withImports(this.#symbols.get(symbol));
  }

  byExtension(type: string, number: number): Uint8Array[] | undefined {
    return this.#withImports(this.#extensions.get(type)?.get(number));
  }

  /** Returns the field numbers of the extensions of a message. */
  extensionNumbers(type: string): number[] | undefined {
    const numbers = this.#extensions.get(type)?.keys();
    if (numbers) return [...numbers];
    return this.#symbols.has(type) ? [] : undefined;
  }

  #add(file: DescFile): void {
    // The name of the descriptor itself lacks its ending.
    const name = file.proto.name;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    for (const dependency of file.dependencies) this.#add(dependency);
    for (const service of file.services) {
      this.services.push(service.typeName);
      this.#symbols.set(service.typeName, file);
      for (const method of service.methods)
        this.#symbols.set(`${service.typeName}.${method.name}`, file);
    }
    for (const message of file.messages) this.#addMessage(message);
    for (const each of file.enums) this.#addEnum(each, file.proto.package);
    for (const each of file.extensions) this.#addExtension(each);
  }

  #addMessage({ file, typeName, ...of }: DescMessage): void {
    this.#symbols.set(typeName, file);
    for (const { name } of [...of.fields, ...of.oneofs]) {
      this.#symbols.set(`${typeName}.${name}`, file);
    }
    for (const each of of.nestedMessages) this.#addMessage(each);
    for (const each of of.nestedEnums) this.#addEnum(each, typeName);
    for (const each of of.nestedExtensions) this.#addExtension(each);
  }

  /** The values of an enum are declared beside it, not in it. */
  #addEnum({ file, typeName, values }: DescEnum, scope: string): void {
    this.#symbols.set(typeName, file);
    for (const { name } of values) this.#symbols.set(scope ? `${scope}.${name}` : name, file);
  }

  #addExtension({ file, typeName, number, extendee }: DescFile['extensions'][number]): void {
    this.#symbols.set(typeName, file);
    const numbers = this.#extensions.get(extendee.typeName) ?? new Map<number, DescFile>();
    this.#extensions.set(extendee.typeName, numbers.set(number, file));
  }

  #withImports(file: DescFile | undefined): Uint8Array[] | undefined {
    if (!file) return undefined;
    const all = new Set([file]);
    // Iterating over a set reaches what is added meanwhile.
    for (const each of all) for (const dependency of each.dependencies) all.add(dependency);
    return [...all].map((each) => this.#encode(each));
  }

  #encode(file: DescFile): Uint8Array {
    const known = this.#encoded.get(file);
    if (known) return known;
    this.#commented ??= commentedFiles();
    const bytes =
      this.#commented.get(file.proto.name) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    this.#encoded.set(file, bytes);
    return bytes;
  }
}
