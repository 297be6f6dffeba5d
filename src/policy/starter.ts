/** The policy that a new data directory gets: enough to sign on a local development chain, and nothing more. */
export const STARTER_POLICY = `# The policy of this Countersign service.
#
# What no rule allows is denied. A deny rule beats every other rule, and a require rule asks for approval of what is
# allowed. The order of rules has no meaning.
# Amounts are quoted text: "1 ether", "30 gwei", or "1000" for wei. Addresses are quoted too.
# A mapping under \`when\` holds one condition; combine conditions with all, any and not.
# Everything that can be written here is explained in docs/policy.md.

apiVersion: countersign/policy/v1
revision: 1

# Named lists of addresses, used below as $name.
# lists:
#   payouts: ["0x1111111111111111111111111111111111111111"]

rules:
  # Plain transfers on a local development chain (Anvil and Hardhat use chain id 31337).
  - id: dev-transfers
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }            # every key; narrow it with names, tags or groups
    operations: [transaction]
    when:
      all:
        - chainId: { eq: 31337 }
        - value: { lte: "1 ether" }
        - maxTotalFee: { lte: "0.05 ether" }   # gas limit x highest gas price, plus blob fees

  # EIP-7702 transactions (type 4) there: they carry delegations that other accounts have signed.
  # They need a rule that bounds how many, and on which chains.
  - id: dev-set-code
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: 31337 }
        - txType: { eq: 4 }
        - value: { lte: "1 ether" }
        - maxTotalFee: { lte: "0.05 ether" }
        - authorizations: { max: 4, every: { chainId: { eq: 31337 } } }

  # Messages (EIP-191, personal_sign). Their prefix keeps them from being valid as transactions.
  - id: messages
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [message]

  # A message of 32 bytes can be a hash, which a Safe or a smart account takes for consent to what it is the hash of.
  # To sign none of those, remove the leading "# ":
  # - id: no-hashes
  #   effect: deny
  #   operations: [message]
  #   when: { message: { len: { eq: 32 } } }

  # Examples. To use one, remove the leading "# " of its lines and make it yours.

  # Pay named recipients on mainnet from keys with the tag "hot". Define the list above first.
  # - id: mainnet-payouts
  #   effect: allow
  #   principals: { roles: [signer] }
  #   keys: { tags: [hot] }
  #   operations: [transaction]
  #   when:
  #     all:
  #       - chainId: { eq: 1 }
  #       - to: { in: $payouts }
  #       - value: { lte: "0.5 ether" }
  #       - maxTotalFee: { lte: "0.01 ether" }

  # Let a key delegate its own account to one contract (EIP-7702). A delegate can move everything the account holds.
  # - id: dev-delegation
  #   effect: allow
  #   principals: { roles: [signer] }
  #   keys: { names: [delegator] }
  #   operations: [authorization]
  #   when:
  #     all:
  #       - chainId: { eq: 31337 }
  #       - authorizations: { every: { address: { eq: "0x2222222222222222222222222222222222222222" } } }

  # Typed data (EIP-712). It can be an order that this service does not know: name its type and its members where you
  # can (\`typed\`). Well-known permits and orders to a Safe are not covered by a rule as wide as this one.
  # - id: login-typed-data
  #   effect: allow
  #   principals: { roles: [signer] }
  #   keys: { tags: [login] }
  #   operations: [typed-data]
`;
