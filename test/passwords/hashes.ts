/** What `HASHES` are of. */
export const HASHED = 'correct horse b\u00e4ttery';

/** Made by other implementations: libargon2, libxcrypt, and OpenSSL through Python's hashlib. */
export const HASHES = {
  argon2d:
    '$argon2d$v=19$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$7Qd5N4dzbtfFnVQTM0pt5OfGBeZex7Hac4MSqxIR750',
  argon2i:
    '$argon2i$v=19$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$anT+ZFgGe55C1D7laAunYLS3SYUU4G1jTiqZ8RPZ/ug',
  'argon2id of less memory':
    '$argon2id$v=19$m=256,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$kx+7hdNPPbCB0F5h+grw0OK2QO30+3W3piVtdtuJSQc',
  'bcrypt, $2a$': '$2a$05$abcdefghijklmnopqrstuuiAUQSqLgPmKC.81UqN54J7SM7C5uZ5q',
  'bcrypt, $2b$': '$2b$05$abcdefghijklmnopqrstuuiAUQSqLgPmKC.81UqN54J7SM7C5uZ5q',
  'bcrypt, $2y$': '$2y$05$abcdefghijklmnopqrstuuiAUQSqLgPmKC.81UqN54J7SM7C5uZ5q',
  scrypt:
    '$scrypt$ln=14,r=8,p=1$AQIDBAUGBwgJCgsMDQ4PEA$DKPTBDjKoLjDPIqmXKmNv2wC/d/CGwRRZq9RzADLhQg',
  'PBKDF2 with SHA-1, PHC':
    '$pbkdf2-sha1$i=1300,l=20$AQIDBAUGBwgJCgsMDQ4PEA$ggpbI5OwY0VcNq9DRTwxWQ6FMM4',
  'PBKDF2 with SHA-1, passlib': '$pbkdf2$1300$AQIDBAUGBwgJCgsMDQ4PEA$ggpbI5OwY0VcNq9DRTwxWQ6FMM4',
  'PBKDF2 with SHA-256, PHC':
    '$pbkdf2-sha256$i=2900,l=32$AQIDBAUGBwgJCgsMDQ4PEA$gAaxLnEhd+itJodF81XlgsxxseTpZXv2ZoI096eZLiQ',
  'PBKDF2 with SHA-256, passlib':
    '$pbkdf2-sha256$2900$AQIDBAUGBwgJCgsMDQ4PEA$gAaxLnEhd.itJodF81XlgsxxseTpZXv2ZoI096eZLiQ',
  'PBKDF2 with SHA-256, Django':
    'pbkdf2_sha256$2600$NaClForDjango01$pNYDbOhUwXBXMTmW1nvY7a/FHkOIfLAXWQBgCC258ro=',
  'PBKDF2 with SHA-1, Django': 'pbkdf2_sha1$2600$NaClForDjango01$NbvmaPkaNMsjGiSFyrHLbMzSqTw=',
  'PBKDF2 with SHA-512, PHC':
    '$pbkdf2-sha512$i=2500,l=64$AQIDBAUGBwgJCgsMDQ4PEA$BKGvYnQRzGDPzN0p5GqQU793XaPb2K+XhI84n3Vs/wlPHs2xxfkI0eXPrJ3R+q6ZzWJAvCDR6yTAxFK32227rA',
  'PBKDF2 with SHA-512, passlib':
    '$pbkdf2-sha512$2500$AQIDBAUGBwgJCgsMDQ4PEA$BKGvYnQRzGDPzN0p5GqQU793XaPb2K.XhI84n3Vs/wlPHs2xxfkI0eXPrJ3R.q6ZzWJAvCDR6yTAxFK32227rA',
} as const;

/** Of twelve times e and U+0301, as they were typed: programs that don't normalise made these. */
export const DECOMPOSED = {
  PBKDF2: '$pbkdf2-sha256$1000$AQIDBAUGBwgJCgsMDQ4PEA$8RQYmKTYo69tPx6c67kFUFEQ68PNmeazBxdlDrgrBRI',
  bcrypt: '$2b$05$abcdefghijklmnopqrstuuPQsTqJLGOm19eAXNEFC1Q3L0O3PPzzK',
} as const;
