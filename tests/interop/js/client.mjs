// Signs and verifies with sigstore-js, as an application would: with the library's own time limit
// of 5 s for an answer, and every threshold at its default of one.
//
//   node client.mjs sign messageSignature|dsseEnvelope TRUST TOKEN FILE BUNDLE
//   node client.mjs sign-v1 hashedrekord|dsse|intoto TRUST TOKEN FILE BUNDLE
//   node client.mjs verify TRUST FILE BUNDLE IDENTITY ISSUER
//
// TRUST is a directory with trusted_root.json and signing_config.json.
import { readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { bundleFromJSON, bundleToJSON } from '@sigstore/bundle';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import {
  bundleBuilderFromSigningConfig,
  DSSEBundleBuilder,
  FulcioSigner,
  MessageSignatureBundleBuilder,
  RekorWitness,
} from '@sigstore/sign';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';

const IN_TOTO = 'application/vnd.in-toto+json';

const readJSON = (...path) => JSON.parse(readFileSync(join(...path), 'utf8'));
const sha256 = (data) => createHash('sha256').update(data).digest('hex');

async function sign(bundleType, trust, tokenFile, file, bundleFile) {
  const signingConfig = readSigningConfig(trust, 2);
  // No fetchOptions: the defaults, 5 s and two retries, are what applications have.
  const identityProvider = identityFrom(tokenFile);
  const builder = bundleBuilderFromSigningConfig({ signingConfig, identityProvider, bundleType });
  await write(builder, bundleType === 'dsseEnvelope', file, bundleFile);
}

// As npm and others do it that choose the kind of entry themselves. No timestamp authority: the
// time in the log's promise is all that says when this was signed.
async function signV1(entryType, trust, tokenFile, file, bundleFile) {
  const config = readSigningConfig(trust, 1);
  const attests = entryType !== 'hashedrekord';
  const options = { timeout: 5000, retry: { retries: 2 }, fetchOnConflict: true };
  const signer = new FulcioSigner({
    fulcioBaseURL: config.caUrls[0].url,
    identityProvider: identityFrom(tokenFile),
    ...options,
  });
  const log = { rekorBaseURL: config.rekorTlogUrls[0].url, majorApiVersion: 1 };
  if (attests) log.entryType = entryType;
  const witnesses = [new RekorWitness({ ...log, ...options })];
  const Builder = attests ? DSSEBundleBuilder : MessageSignatureBundleBuilder;
  await write(new Builder({ signer, witnesses }), attests, file, bundleFile);
}

const identityFrom = (tokenFile) => {
  const token = readFileSync(tokenFile, 'utf8').trim();
  return { getToken: async () => token };
};

// The library would take the log that is the youngest, of whichever version.
function readSigningConfig(trust, majorApiVersion) {
  const config = SigningConfig.fromJSON(readJSON(trust, 'signing_config.json'));
  config.rekorTlogUrls = config.rekorTlogUrls.filter((log) => log.majorApiVersion === majorApiVersion);
  return config;
}

async function write(builder, attests, file, bundleFile) {
  const data = readFileSync(file);
  const artifact = attests ? { data: statementAbout(file, data), type: IN_TOTO } : { data };
  const started = Date.now();
  const bundle = await builder.create(artifact);
  writeFileSync(bundleFile, JSON.stringify(bundleToJSON(bundle)));
  console.log(`signed in ${Date.now() - started} ms`);
}

function statementAbout(file, data) {
  return Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: basename(file), digest: { sha256: sha256(data) } }],
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: { buildDefinition: {}, runDetails: {} },
    }),
  );
}

function verify(trust, file, bundleFile, identity, issuer) {
  const bundle = bundleFromJSON(readJSON(bundleFile));
  const data = readFileSync(file);
  const material = toTrustMaterial(TrustedRoot.fromJSON(readJSON(trust, 'trusted_root.json')));
  const verifier = new Verifier(material, {
    tlogThreshold: 1,
    ctlogThreshold: 1,
    timestampThreshold: 1,
  });
  const signer = verifier.verify(toSignedEntity(bundle, data), {
    subjectAlternativeName: identity,
    extensions: { issuer },
  });
  // The library leaves it to its caller to compare a statement's subject with the file.
  const envelope = bundle.content.dsseEnvelope;
  if (envelope) {
    const subjects = JSON.parse(envelope.payload.toString()).subject;
    if (!subjects.some((subject) => subject.digest.sha256 === sha256(data))) {
      throw new Error('the statement is about another file');
    }
  }
  console.log(`verified: ${signer.identity.subjectAlternativeName}`);
}

const [command, ...args] = process.argv.slice(2);
const commands = { sign: [sign, 5], 'sign-v1': [signV1, 5], verify: [verify, 5] };
const [run, arity] = commands[command] ?? [];
if (!run || args.length !== arity) {
  console.error('usage: sign|sign-v1 KIND TRUST TOKEN FILE BUNDLE');
  console.error('       verify TRUST FILE BUNDLE WHO ISSUER');
  process.exit(2);
}
try {
  await run(...args);
} catch (error) {
  console.error(`${error.name} ${error.code ?? ''}: ${error.message}`);
  for (let cause = error.cause; cause; cause = cause.cause) {
    console.error(`  because: ${cause.message}`);
  }
  process.exit(1);
}
