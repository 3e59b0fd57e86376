"""`make check-infra`: what can be known of the Bicep files without a Bicep compiler and without Azure.

::

    source      text ──► tree (tree-sitter) ──► declarations          syntax
    symbols     every name is declared and used, module parameters match
    evaluate    parameters ──► the resources that a deployment would make, as plain values
    schemas     their properties against the published schemas
    rules       what neither compiler nor Azure can know: settings, limits, filters, roles, alerts, hooks

The evaluator knows the part of the language that the files use, and says so where it does not. It stands in for
`bicep build` and `azd provision --preview` where those cannot run; it does not replace them (docs/deployment.md).
"""
