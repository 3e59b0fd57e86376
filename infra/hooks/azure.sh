#!/bin/sh
# The hooks source it: az is there and signed in to the environment's subscription, which need not be az's default one.
# azure.ps1 is the same for Windows.
command -v az >/dev/null || { echo "missing: az (https://aka.ms/install-az), signed in: az login" >&2; exit 1; }
: "${APP_NAME:?is not set: run azd provision first}"
az account show --subscription "$AZURE_SUBSCRIPTION_ID" --output none

# Prints where an event subscription delivers, and nothing if there is none: only then does az end with 3 ("not found"),
# or name that error. With any other one the hook ends, in az's words.
target_of() {
    if said=$(az eventgrid system-topic event-subscription show --subscription "$AZURE_SUBSCRIPTION_ID" \
        --resource-group "$TOPIC_RESOURCE_GROUP" --system-topic-name "$TOPIC_NAME" --name "$1" --only-show-errors \
        --query 'destination.resourceId || destination.endpointType' --output tsv 2>&1); then
        echo "$said"
    else
        case "$? $said" in
        "3 "* | *"(NotFound)"* | *"(ResourceNotFound)"* | *"(ResourceGroupNotFound)"*) ;;
        *)
            echo "$said" >&2
            exit 1
            ;;
        esac
    fi
}
