"""The runtime host: runs this function app on the platform's own Python runtime, without Core Tools.

`python -m localdev.host` plays the part of the Azure Functions host for local development and tests: it loads the
official `azure-functions-runtime` package, which indexes and runs the app exactly as the platform's worker does, and
feeds it with HTTP requests, Event Grid deliveries and timer ticks. It has nothing of the app but
`shared.model.schedule`, so that schedules are read by one parser.

It is a development tool: it listens on loopback only and refuses to start in Azure.

How a request travels::

    client --> connection --> dispatch --> relay ------> the worker's own uvicorn --> function
               (HTTP/1.1)     (routes,       |  `--> worker.start_http (the invocation, same id)
                               keys)         |
                                 |           `<------ response bytes, as they come
                                 |--> webhook (Event Grid) --> worker.invoke
                                 `--> admin                --> timers.fire --> worker.invoke

What differs from the real host: no extension bundles (only HTTP, Event Grid and timer triggers; no output bindings);
worker and host are one process, which begins anew when a function overruns `functionTimeout` (an event loop that is
blocked for good is not noticed); no past-due monitor for timers, and schedules that the platform would misread are
refused; of deliveries numbers and times are left as they were sent, and only RFC 8259 is JSON (`newtonsoft`); the
webhook takes every method, where the platform's front lets GET, POST, DELETE and OPTIONS through; keys come from the
environment (`HOST_FUNCTION_KEY`, `HOST_MASTER_KEY`); its own endpoints answer only requests that name this machine.
"""
