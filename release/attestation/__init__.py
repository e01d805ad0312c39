"""Sign what is known about a release, and attach it to the image: `python -m release.attestation`.

- `evidence`: what is known, held together: the judgement, and the models in the image
- `statement`: the in-toto statement about it, with SLSA provenance as its predicate
- `bill_of_materials`: model, data and packages in the image, as CycloneDX lists them
- `signing`: the DSSE envelope, signed by a key in a file or in AWS KMS
- `attachment`: attaches envelopes to an image in its registry, as cosign does

The hosts verify it before they start an image: `release/deploy/host/attestation.py`.
"""
