# Queue, bucket and roles of Aforo on AWS. `terraform output` prints what `.env` needs.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}
