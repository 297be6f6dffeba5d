import type { Hex } from '../bytes.ts';

/**
 * Accounts whose private keys anybody can look up: development mnemonics, published test vectors, examples of
 * specifications and documentation. The test derives every one of them again from its public source.
 */
const ACCOUNTS: readonly (readonly [origin: string, addresses: readonly Hex[]])[] = [
  [
    'anvil/hardhat default account',
    [
      '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
      '0x70997970c51812dc3a010c7d01b50e0d17dc79c8',
      '0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc',
      '0x90f79bf6eb2c4f870365e785982e1f101e93b906',
      '0x15d34aaf54267db7d7c367839aaf71a00a2c6a65',
      '0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc',
      '0x976ea74026e726554db657fa54763abd0c3a0aa9',
      '0x14dc79964da2c08b23698b3d3cc7ca32193d9955',
      '0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f',
      '0xa0ee7a142d267c1f36714e4a8f75612f20a79720',
      '0xbcd4042de499d14e55001ccbb24a551f3b954096',
      '0x71be63f3384f5fb98995898a86b02fb2426c5788',
      '0xfabb0ac9d68b0b445fb7357272ff202c5651694a',
      '0x1cbd3b2770909d4e10f157cabc84c7264073c9ec',
      '0xdf3e18d64bc6a983f673ab319ccae4f1a57c7097',
      '0xcd3b766ccdd6ae721141f452c550ca635964ce71',
      '0x2546bcd3c84621e976d8185a91a922ae77ecec30',
      '0xbda5747bfd65f08deb54cb465eb87d40e51b197e',
      '0xdd2fd4581271e230360230f9337d5c0430bf44c0',
      '0x8626f6940e2eb28930efb4cef49b2d1f2c9c1199',
    ],
  ],
  [
    'ganache deterministic account',
    [
      '0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1',
      '0xffcf8fdee72ac11b5c542428b35eef5769c409f0',
      '0x22d491bde2303f2f43325b2108d26f1eaba1e32b',
      '0xe11ba2b4d45eaed5996cd0823791e0c93114882d',
      '0xd03ea8624c8c5987235048901fb614fdca89b117',
      '0x95ced938f7991cd0dfcb48f0a06a40fa1af46ebc',
      '0x3e5e9111ae8eb78fe1cc3bb8915d5d461f3ef9a9',
      '0x28a8746e75304c0780e011bed21c72cd78cd535e',
      '0xaca94ef8bd5ffee41947b4585a84bda5a3d3da6e',
      '0x1df62f291b2e969fb0849d99d9ce41e2f137006e',
    ],
  ],
  [
    'truffle develop account',
    [
      '0x627306090abab3a6e1400e9345bc60c78a8bef57',
      '0xf17f52151ebef6c7334fad080c5704d77216b732',
      '0xc5fdf4076b8f3a5357c5e395ab970b5b54098fef',
      '0x821aea9a577a9b44299b9c15c88cf3087f3b5544',
      '0x0d1d4e623d10f9fba5db95830f7d3839406c6af2',
      '0x2932b7a2355d6fecc4b5c0b6bd44cc31df247a2e',
      '0x2191ef87e392377ec08e7c08eb105ef5448eced5',
      '0x0f4f2ac550a1b4e2280d04c21cea7ebd822934b5',
      '0x6330a553fc93768f612722bb8c2ec78ac90b3bbc',
      '0x5aeda56215b167893e80b4fe645ba6d5bab767de',
    ],
  ],
  [
    'BIP-39 test mnemonic account',
    [
      '0x9858effd232b4033e47d90003d41ec34ecaeda94',
      '0x6fac4d18c912343bf86fa7049364dd4e424ab9c0',
      '0xb6716976a3ebe8d39aceb04372f22ff8e6802d7a',
      '0xf3f50213c1d2e255e4b2bad430f8a38eef8d718e',
      '0x51ca8ff9f1c0a99f88e86b8112ea3237f55374ca',
      '0xa40cfbfc8534ffc84e20a7d8bbc3729b26a35f6f',
      '0xb191a13bfe648b61002f2e2135867015b71816a6',
      '0x593814d3309e2df31d112824f0bb5aa7cb0d7d47',
      '0xb14c391e2bf19e5a26941617ab546fa620a4f163',
      '0x4c1c56443abfe6dd33de31daaf0a6e929dbc4971',
    ],
  ],
];

const KEYS: readonly (readonly [origin: string, addresses: readonly Hex[]])[] = [
  ['EIP-155 example key', ['0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f']],
  [
    'go-ethereum test key',
    [
      '0x71562b71999873db5b286df957af199ec94617f7',
      '0x703c4b2bd70c169f5717101caee543299fc946c7',
      '0x0d3ab14bbad3d99f4203bd7a11acb94882050e7e',
      '0x970e8128ab834e8eac17ab8e3812f010678cf791',
    ],
  ],
  ['Parity development account', ['0x00a329c0648769a73afac7f9381e08fb43dbea72']],
  ['Besu development account', ['0xfe3b557e8fb62b89f4916b721be55ceb828dbd73']],
  [
    'web3.js documentation example',
    ['0x2c7536e3605d9c16a7a3d7b1898e529396a65c23', '0xb8ce9ab6943e0eced004cde8e3bbed6568b2fa01'],
  ],
  ['ethers documentation example', ['0x14791697260e4c9a71f18484c9f997b308e59325']],
  ['keccak256("cow"), the EIP-712 example key', ['0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826']],
  ['keccak256("horse")', ['0x13978aee95f38490e9769c39b2773ed763d9cd5f']],
  [
    'Web3 Secret Storage test vector',
    [
      '0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b',
      '0x1a642f0e3c3af545e7acbd38b07251b3990914f1',
      '0x5050a4f4b3f9338c3472dcc01a87c76a144b3c9c',
      '0x460121576cc7df020759730751f92bd62fd78dd6',
    ],
  ],
  ['EIP-7702 test vector', ['0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b']],
  [
    'personal_sign test vector',
    [
      '0x29c76e6ad8f28bb1004902578fb108c507be341b',
      '0xbe93f9bacbcffc8ee6663f2647917ed7a20a57bb',
      '0xe0da1edcea030875cd0f199d96eb70f6ab78faf2',
    ],
  ],
  [
    'published secp256k1 test vector',
    [
      '0xd0c3c968c0285346b28480d425c184866d6925dc',
      '0x7e5f4552091a69125d5dfcb7b8c2659029395bdf',
      '0x2b5ad5c4795c026514f8317c7a215e218dccd6cf',
      '0xa1d79dfa76e98d5e8a776114d9524c4b6e888daa',
      '0xe6d8cc9254d2c632143141280ad09d7e731e3a5e',
      '0x80c0dbf239224071c59dd8970ab9d542e3414ab2',
      '0xfcd0cad4bccc2899018abda7ab874f0676fbe36c',
      '0x8d75efe8e21bcfc3f00caa8834546e4c06bd440e',
      '0x7de24ffd831e9f5c5d1ea01fbe43db266bb32eef',
    ],
  ],
  [
    'ethers test wallet',
    [
      '0x0b88d4b324ec24c8c078551e6e5075547157e5b6',
      '0x2e326fa404fc3661de4f4361776ed9bbabdc26e3',
      '0x012363d61bdc53d0290a0f25e9c89f8257550fb8',
      '0x15db397ed5f682acb22b0afc6c8de4cdfbda7cbc',
      '0x17c5185167401ed00cf5f5b2fc97d9bbfdb7d025',
      '0x4a9cf99357f5789251a8d7fad5b86d0f31eeb938',
      '0x88a5c2d9919e46f883eb62f7b8dd9d0cc45bc290',
    ],
  ],
];

const ORIGINS: ReadonlyMap<string, string> = new Map([
  ...KEYS.flatMap(([origin, addresses]) => addresses.map((address) => [address, origin] as const)),
  ...ACCOUNTS.flatMap(([origin, addresses]) =>
    addresses.map((address, index) => [address, `${origin} ${index}`] as const),
  ),
]);

/** Where the private key of this address (any case) is published; `undefined` if nowhere that is known here. */
export function wellKnownOrigin(address: Hex): string | undefined {
  return ORIGINS.get(address.toLowerCase());
}

/** The order of secp256k1's group, n (SEC 2 section 2.4.1), its high 24 and low 8 bytes; and the high part of n - 2^64. */
const ORDER_HIGH = Buffer.from('fffffffffffffffffffffffffffffffebaaedce6af48a03b', 'hex');
const ORDER_LOW = Buffer.from('bfd25e8cd0364141', 'hex');
const BELOW_ORDER_HIGH = Buffer.from('fffffffffffffffffffffffffffffffebaaedce6af48a03a', 'hex');
const HIGH_LENGTH = 24;

/**
 * Why no generator made this private key (32 bytes, big-endian), or `undefined`. Each pattern is hit by
 * chance less than once in 2^191 keys; keys like these are swept within seconds of receiving funds.
 */
export function weakKeyReason(privateKey: Uint8Array): string | undefined {
  const high = privateKey.subarray(0, HIGH_LENGTH);
  const low = privateKey.subarray(HIGH_LENGTH);
  if (privateKey.every((byte) => byte === privateKey[0])) return 'all bytes are equal';
  if (high.every((byte) => byte === 0)) return 'the number is below 2^64';
  const nearOrder =
    ORDER_HIGH.equals(high) || (BELOW_ORDER_HIGH.equals(high) && Buffer.compare(low, ORDER_LOW) > 0);
  return nearOrder ? 'the number is within 2^64 of the group order' : undefined;
}
