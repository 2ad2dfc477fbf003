/** Whose service it is, for the people who see its mails and pages. */
export type Brand = {
  name: string;
  /** Where its name leads. */
  url: string | undefined;
  /** `#rrggbb` */
  color: string;
  /** Where people go on once they have done what a mail asked them to. */
  appUrl: string | undefined;
};
